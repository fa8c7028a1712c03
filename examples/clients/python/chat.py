#!/usr/bin/env python3
"""A small client of fleetchatd, with nothing but Python's standard library.

chat.py send KEY TEXT    sends TEXT, once however often it is run with KEY, and waits for the end
chat.py follow NAME      prints what people say, and acknowledges it when it is printed
"""

import http.client
import json
import os
import random
import signal
import socket
import sys
import time

LONGEST_PAUSE_S = 10.0
LATER = (409, 503, 507)  # another reader has the name; the daemon is stopping; its disk is full


class RefusedError(Exception):
    """Asking again would change nothing."""


class Connection(http.client.HTTPConnection):
    """HTTP over the daemon's socket."""

    def connect(self):
        """Called by the library."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(socket_path())


def socket_path():
    """Where the daemon listens."""
    if path := os.environ.get("FLEETCHATD_SOCKET"):
        return path
    return os.environ.get("XDG_RUNTIME_DIR", "/run") + "/fleetchatd/fleetchatd.sock"


def ask(method, path, body=None, headers=None, timeout_s=90.0):
    """Make a request that must succeed; return the answer, still to be read."""
    connection = Connection("fleetchat", timeout=timeout_s)
    connection.request(method, path, body and json.dumps(body), headers or {})
    answer = connection.getresponse()
    if answer.status < 400:
        return answer
    problem = json.load(answer)
    error = ConnectionError if answer.status in LATER else RefusedError
    raise error(f"{problem['kind']}: {problem['detail']}")


def pauses():
    """Growing pauses, in seconds; jittered, so that many clients do not come back at once."""
    pause_s = 0.2
    while True:
        yield pause_s * random.uniform(0.5, 1)  # noqa: S311 - not for secrecy
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def wait(pause_s, why):
    """Say why, and wait."""
    print(f"{why}; trying again", file=sys.stderr)
    time.sleep(pause_s)


def send(key, text):
    """Send a message and wait for its end; the key makes every repetition the same message."""
    for pause_s in pauses():
        try:
            answer = ask("POST", "/v1/messages?wait_s=30", {"text": text}, {"Idempotency-Key": key})
            message = json.load(answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            wait(pause_s, error)
            continue
        if message["state"] == "delivered":
            return
        if message["state"] in ("failed", "unknown"):
            raise RefusedError(f"{message['state']}: {message['error']}")


def follow(name):
    """Handle every message, over all restarts of either side, until another reader takes over."""
    done = 0
    pause = pauses()
    while True:
        try:
            path = f"/v1/events?subscriber={name}&types=message"
            for line in ask("GET", path, timeout_s=None):
                event = json.loads(line) if line.strip() else {}
                if event.get("type") == "superseded":
                    return
                if not event:
                    continue
                if event["seq"] > done:  # one comes again if its acknowledgement got lost
                    handle(event)
                    done = event["seq"]
                ask("POST", f"/v1/subscribers/{name}/ack", {"seq": done}).read()
                pause = pauses()
            wait(next(pause), "the stream ended")
        except (OSError, http.client.HTTPException, ValueError) as error:
            wait(next(pause), error)


def handle(event):
    """Do what is to be done. Killed in here, one gets the same event again."""
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    command, *arguments = sys.argv[1:] or ["help"]
    try:
        {"send": send, "follow": follow}[command](*arguments)
    except (KeyError, TypeError):
        sys.exit(__doc__)
    except RefusedError as refusal:
        sys.exit(f"cannot {command}: {refusal}")
