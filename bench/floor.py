"""The smallest possible gateway of this shape, without a feature: what the hardware and the
libraries cost whoever builds on them. `python -m bench --floor` measures it in the daemon's place,
and so tells whether a target is within reach on the machine at hand.

    sync -> SQLite FULL -> NDJSON          POST -> journal -> PUT

It takes the daemon's options. Commits are made on the event loop, one a turn, so sends and answers
to /sync share them; readers share encoded lines.
"""

import argparse
import asyncio
import json
import os
import socket
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

SCHEMA = """
PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
CREATE TABLE IF NOT EXISTS event(seq INTEGER PRIMARY KEY, id TEXT UNIQUE, line BLOB);
CREATE TABLE IF NOT EXISTS message(number INTEGER PRIMARY KEY, id TEXT UNIQUE, body BLOB,
                                   state INTEGER);
CREATE TABLE IF NOT EXISTS position(one INTEGER PRIMARY KEY, value TEXT);
"""
EVENT = "INSERT OR IGNORE INTO event(id, line) VALUES (?, ?)"
MESSAGE = "INSERT INTO message(id, body, state) VALUES (?, ?, 0)"
POSITION = "INSERT OR REPLACE INTO position VALUES (1, ?)"
DELIVERED = "UPDATE message SET state = 1 WHERE id = ?"
LAZY_S = 0.02
KEEP = 5_000


Rows = list[tuple[object, ...]]
Write = tuple[str, Rows]


class Journal:
    """What is asked for in one turn of the loop shares a commit, made right there."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(SCHEMA)
        self.loop = loop
        self.group: list[Write] = []
        self.waiting: list[asyncio.Future[None]] = []

    def write(self, *writes: Write) -> asyncio.Future[None]:
        if not self.group:
            self.loop.call_soon(self.commit)
        self.group += writes
        done: asyncio.Future[None] = self.loop.create_future()
        self.waiting.append(done)
        return done

    def commit(self) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        for sql, rows in self.group:
            self.db.executemany(sql, rows)
        self.db.execute("COMMIT")
        self.group = []
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            if not done.done():
                done.set_result(None)


class Floor:
    """The two flows."""

    def __init__(self, journal: Journal, http: aiohttp.ClientSession, room: str) -> None:
        self.journal, self.http, self.room = journal, http, room
        self.lines: list[bytes] = []
        self.dropped = 0
        row = journal.db.execute("SELECT max(seq) FROM event").fetchone()
        self.last_seq = row[0] or 0
        self.grown = asyncio.Event()
        self.outbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.delivered: list[tuple[object, ...]] = []
        self.receiving = False

    async def receive(self) -> None:
        async def poll(since: str | None) -> Any:
            query = {"timeout": "30000", "since": since} if since else {"timeout": "0"}
            async with self.http.get("/_matrix/client/v3/sync", params=query) as answer:
                return orjson.loads(await answer.read())

        since = (await poll(None))["next_batch"]
        self.receiving = True
        while True:
            sync = await poll(since)
            before, since = since, sync["next_batch"]
            timeline = sync["rooms"]["join"][self.room]["timeline"]
            events = timeline["events"]
            if timeline["limited"]:
                events = await self.fill(timeline["prev_batch"], before, events)
            lines = [self.line(event) for event in events]
            rows: Rows = [
                (event["event_id"], line) for event, line in zip(events, lines, strict=True)
            ]
            commit = self.journal.write((EVENT, rows), (POSITION, [(since,)]))
            commit.add_done_callback(partial(self.publish, lines))

    async def fill(self, start: str | None, since: str, newest: list[Any]) -> list[Any]:
        events = newest[::-1]
        path = f"/_matrix/client/v3/rooms/{self.room}/messages"
        while start:
            query = {"dir": "b", "limit": "1000", "to": since, "from": start}
            async with self.http.get(path, params=query) as answer:
                page = orjson.loads(await answer.read())
            events += page["chunk"]
            start = page.get("end")
        return events[::-1]

    def line(self, event: Any) -> bytes:
        self.last_seq += 1
        line = orjson.dumps(
            {
                "seq": self.last_seq,
                "type": "message",
                "time": event["origin_server_ts"],
                "connector": "matrix",
                "id": event["event_id"],
                "sender": event["sender"],
                "sender_name": event["sender"],
                "text": event["content"]["body"],
                "thread_id": None,
                "reply_to": None,
                "class": "human",
                "attachments": [],
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        return b"%b" % line  # what orjson gives holds on to 4 KiB

    def publish(self, lines: list[bytes], _: object) -> None:
        self.lines += lines
        if len(self.lines) > 2 * KEEP:
            self.dropped += len(self.lines) - KEEP
            del self.lines[:-KEEP]
        self.grown.set()
        self.grown.clear()

    async def deliver(self) -> None:
        while True:
            number, text = await self.outbox.get()
            path = f"/_matrix/client/v3/rooms/{self.room}/send/m.room.message/{number}"
            async with self.http.put(path, data=text) as answer:
                await answer.read()
            if not self.delivered:
                self.journal.loop.call_later(LAZY_S, self.note_delivered)
            self.delivered.append((number,))

    def note_delivered(self) -> None:
        done, self.delivered = self.delivered, []
        self.journal.write((DELIVERED, done))

    async def accept(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        number = os.urandom(16).hex()
        content = orjson.dumps({"msgtype": "m.text", "body": body["text"]})
        await self.journal.write((MESSAGE, [(number, content)]))
        self.outbox.put_nowait((number, content))
        answer = orjson.dumps({"id": number, "state": "queued"})
        return web.Response(body=answer, status=202, content_type="application/json")

    async def follow(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        if (after := request.query.get("after")) is not None:
            rows = self.journal.db.execute("SELECT line FROM event WHERE seq > ?", (after,))
            while part := rows.fetchmany(200):
                await response.write(b"".join(line for (line,) in part))
            return response
        at = self.dropped + len(self.lines)
        while True:
            while at == self.dropped + len(self.lines):
                await self.grown.wait()
            start, at = at - self.dropped, self.dropped + len(self.lines)
            await response.write(b"".join(self.lines[start:]))

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "connector": {"receiving": self.receiving},
                "outbox": {"queued": self.outbox.qsize()},
                "journal": {"last_seq": self.last_seq},
            }
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for option in ("--roster", "--socket", "--state-dir"):
        parser.add_argument(option)
    args = parser.parse_args()
    args.matrix = json.loads(Path(args.roster).read_text())["connector"]["matrix"]
    return args


async def main(args: argparse.Namespace) -> None:
    journal = Journal(Path(args.state_dir) / "floor.db", asyncio.get_running_loop())
    async with aiohttp.ClientSession(args.matrix["homeserver_url"]) as http:
        floor = Floor(journal, http, args.matrix["room_id"])
        app = web.Application()
        app.router.add_post("/v1/messages", floor.accept)
        app.router.add_get("/v1/events", floor.follow)
        app.router.add_get("/v1/health", floor.health)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.UnixSite(runner, args.socket).start()
        if notify := os.environ.get("NOTIFY_SOCKET"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
                link.sendto(b"READY=1", notify)
        await asyncio.gather(floor.receive(), floor.deliver())


if __name__ == "__main__":
    asyncio.run(main(arguments()))
