"""A no-op aiohttp handler on a Unix socket; also the bare process that listens.

Usage: noop.py SOCKET. Says READY=1 to NOTIFY_SOCKET if there is one, and prints a line.
"""

import asyncio
import os
import socket
import sys

from aiohttp import web

BODY = b'{"id":"0123456789abcdef0123456789abcdef","state":"queued"}'


async def accept(_: web.Request) -> web.Response:
    return web.Response(body=BODY, status=202, content_type="application/json")


async def main(path: str) -> None:
    app = web.Application()
    app.router.add_post("/v1/messages", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    if notify := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.sendto(b"READY=1", notify)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
