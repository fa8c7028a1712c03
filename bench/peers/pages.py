"""A bare client that fills a gap: it pages backwards and commits once, in order.

Usage: pages.py HOMESERVER_URL FOLDER. Prints the number of events when they are on disk.
"""

import asyncio
import sqlite3
import sys
from typing import Any

import aiohttp
import orjson

ROOM_ID = "!room:bench.internal"
BASE = "/_matrix/client/v3"


async def fill(http: aiohttp.ClientSession, db: sqlite3.Connection) -> None:
    async def get(path: str, **query: str) -> Any:
        async with http.get(BASE + path, params=query) as answer:
            return orjson.loads(await answer.read())

    first = await get("/sync", timeout="0")
    since = first["next_batch"]
    print("polling", flush=True)
    sync = await get("/sync", timeout="30000", since=since)
    timeline = sync["rooms"]["join"][ROOM_ID]["timeline"]
    newest_first = timeline["events"][::-1]
    start = timeline["prev_batch"]
    while start:
        page = await get(
            f"/rooms/{ROOM_ID}/messages", dir="b", limit="1000", to=since, **{"from": start}
        )
        newest_first += page["chunk"]
        start = page.get("end")
    rows = [(event["event_id"], orjson.dumps(event)) for event in reversed(newest_first)]
    with db:
        db.executemany("INSERT INTO event(id, line) VALUES (?, ?)", rows)
    print(len(rows), flush=True)
    await asyncio.Event().wait()


async def main(url: str, folder: str) -> None:
    db = sqlite3.connect(folder + "/pages.db")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE event(seq INTEGER PRIMARY KEY, id TEXT UNIQUE, line BLOB)")
    async with aiohttp.ClientSession(url) as http:
        await fill(http, db)


asyncio.run(main(sys.argv[1], sys.argv[2]))
