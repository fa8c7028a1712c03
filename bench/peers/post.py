"""What `fleetchat send` does, with http.client and nothing else. Run with `python -I -S`.

Usage: post.py SOCKET TEXT. Prints the message's id.
"""

import http.client
import json
import socket
import sys


class UnixConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(sys.argv[1])


connection = UnixConnection("fleetchat")
connection.request("POST", "/v1/messages", json.dumps({"text": sys.argv[2]}))
response = connection.getresponse()
answer = json.loads(response.read())
if response.status != 202:
    sys.exit(f"cannot send: {answer}")
print(answer["id"])
