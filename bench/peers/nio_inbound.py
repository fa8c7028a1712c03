"""matrix-nio with a bare callback: no journal, no socket, no gap filling.

Usage: nio_inbound.py HOMESERVER_URL. After each message that ends in "last" it prints the
latencies, in ms, of the messages that carried their time ("t=<monotonic ns>").
"""

import asyncio
import json
import sys
import time

from nio import AsyncClient, AsyncClientConfig, MatrixRoom, RoomMessageText  # type: ignore[import-not-found]

latencies: list[float] = []


async def said(_: MatrixRoom, event: RoomMessageText) -> None:
    body = event.body
    if body.startswith("t="):
        latencies.append((time.monotonic_ns() - int(body[2:].split()[0])) / 1e6)
    if body.endswith("last"):
        print(json.dumps(latencies), flush=True)
        latencies.clear()


async def main(url: str) -> None:
    config = AsyncClientConfig(encryption_enabled=False, store_sync_tokens=False)
    client = AsyncClient(url, "@mos:bench.internal", config=config)
    client.access_token, client.user_id, client.device_id = "t", "@mos:bench.internal", "BENCH"
    client.add_event_callback(said, RoomMessageText)
    await client.sync_forever(timeout=30_000)


asyncio.run(main(sys.argv[1]))
