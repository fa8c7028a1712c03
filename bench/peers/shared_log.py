"""Fan-out at its plainest: an aiohttp NDJSON server over one shared list of encoded lines.

Usage: shared_log.py SOCKET. Standard input: "pace COUNT PER_S" appends one line at a time, "push
COUNT BATCH" appends batches as fast as the readers take them. Prints a line when it is done.
"""

import asyncio
import json
import sys

from aiohttp import web

EVENT = {
    "seq": 42,
    "type": "message",
    "time": "2026-11-22T13:00:00.123Z",
    "connector": "matrix",
    "id": "$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg",
    "sender": "@ann:bench.internal",
    "sender_name": "Ann",
    "text": "the quick brown fox jumps over the lazy dog, and the deploy is green",
    "thread_id": None,
    "reply_to": None,
    "class": "human",
    "attachments": [],
}
LINE = json.dumps(EVENT, separators=(",", ":")).encode() + b"\n"

lines: list[bytes] = []
grown = asyncio.Condition()


async def follow(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    at = len(lines)
    while True:
        async with grown:
            while at == len(lines):
                await grown.wait()
        start, at = at, len(lines)
        await response.write(b"".join(lines[start:at]))


async def append(count: int) -> None:
    lines.extend([LINE] * count)
    async with grown:
        grown.notify_all()


async def obey(order: str, count: int, number: float) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    if order == "pace":
        for done in range(count):
            await asyncio.sleep(start + done / number - loop.time())
            await append(1)
    else:
        for _ in range(0, count, int(number)):
            await append(int(number))
            await asyncio.sleep(0)


async def main(path: str) -> None:
    app = web.Application()
    app.router.add_get("/v1/events", follow)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order, count, number = line.split()
        await obey(order, int(count), float(number))
        print("done", flush=True)


asyncio.run(main(sys.argv[1]))
