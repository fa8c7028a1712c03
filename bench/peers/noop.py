"""A no-op aiohttp handler on a Unix socket; also the bare process that listens.

`/v1/messages` does not even look at its request; `/json` reads JSON and answers JSON, as any API of
this kind must.

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


async def echo(request: web.Request) -> web.Response:
    body = await request.json()
    return web.json_response({"id": len(body["text"]), "state": "queued"}, status=202)


async def main(path: str) -> None:
    app = web.Application()
    app.router.add_post("/v1/messages", accept)
    app.router.add_post("/json", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    if notify := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.sendto(b"READY=1", notify)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
