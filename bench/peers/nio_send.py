"""matrix-nio's `room_send`.

Usage: nio_send.py HOMESERVER_URL CONCURRENCY. For each line with a count on standard input it
sends so many messages and prints a line.
"""

import asyncio
import sys

from nio import AsyncClient, AsyncClientConfig, RoomSendResponse  # type: ignore[import-not-found]

ROOM_ID = "!room:bench.internal"
CONTENT = {"msgtype": "m.text", "body": "the deploy is green, and so is the canary"}


async def send(client: AsyncClient, count: int) -> None:
    for _ in range(count):
        answer = await client.room_send(ROOM_ID, "m.room.message", CONTENT)
        assert isinstance(answer, RoomSendResponse), answer


async def main(url: str, concurrency: int) -> None:
    config = AsyncClientConfig(encryption_enabled=False, store_sync_tokens=False)
    client = AsyncClient(url, "@mos:bench.internal", config=config)
    client.access_token, client.user_id, client.device_id = "t", "@mos:bench.internal", "BENCH"
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        share = int(line) // concurrency
        await asyncio.gather(*(send(client, share) for _ in range(concurrency)))
        print("done", flush=True)
    await client.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
