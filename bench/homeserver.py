"""A scripted Matrix homeserver that is never the bottleneck. Runs as a process of its own.

A hand-written HTTP/1.1 protocol whose answers are encoded before they are needed. It serves one
room and takes its orders as JSON lines on standard input, one answer line each; `HomeServer` in
chat.py is the other end. Run it as `python -m bench.homeserver`; it prints its port first.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import json
import os
import re
import sys
import time
from collections import deque
from urllib.parse import parse_qs, unquote, urlsplit

ROOM_ID = "!room:bench.internal"
BOT = "@mos:bench.internal"
PERSON = "@ann:bench.internal"
PAGE_CAP = 1000  # Synapse's own cap on /messages
TEXT = "the quick brown fox jumps over the lazy dog, and the deploy is green"

_SEND = re.compile(r"/rooms/[^/]+/send/[^/]+/([^/]+)$")
_STATE = re.compile(r"/rooms/[^/]+/state(?:/([^/]+)(?:/(.*))?)?$")


def _event_id(seed: bytes, number: int) -> str:
    """An id that looks like a real one: unsorted, 44 characters, so that indexes pay full price."""
    digest = hashlib.sha256(seed + number.to_bytes(8, "big")).digest()
    return "$" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _state_event(kind: str, content: dict[str, object], key: str = "") -> dict[str, object]:
    return {
        "type": kind,
        "state_key": key,
        "sender": PERSON,
        "content": content,
        "event_id": _event_id(b"state", hash((kind, key)) & 0xFFFF),
        "origin_server_ts": 1_700_000_000_000,
        "room_id": ROOM_ID,
    }


STATE = [
    _state_event("m.room.create", {"room_version": "11", "creator": PERSON}),
    _state_event("m.room.join_rules", {"join_rule": "invite"}),
    _state_event("m.room.history_visibility", {"history_visibility": "shared"}),
    _state_event("m.room.power_levels", {"users": {PERSON: 100}}),
    _state_event("m.room.member", {"membership": "join", "displayname": "Ann"}, PERSON),
    _state_event("m.room.member", {"membership": "join", "displayname": "Mos"}, BOT),
]
_IN_SYNC = [{k: v for k, v in event.items() if k != "room_id"} for event in STATE]


def _answer(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _json(value: object, status: str = "200 OK") -> bytes:
    return _answer(json.dumps(value).encode(), status)


_NOT_FOUND = _json({"errcode": "M_NOT_FOUND", "error": "not found"}, "404 Not Found")
_UNRECOGNIZED = _json({"errcode": "M_UNRECOGNIZED", "error": "no such endpoint"}, "404 Not Found")


class Room:
    """The room's timeline and who waits for it."""

    def __init__(self) -> None:
        self.seed = os.urandom(8)
        self.number = 0  # events made so far
        self.position = 0  # sync answers given so far
        self.ready: deque[bytes] = deque()  # encoded answers for the next polls
        self.poller: Client | None = None
        self.poll_count = 0
        self.gap: list[bytes] = []  # the hidden events, oldest first
        self.hold = False
        self.held: list[Client] = []
        self.put_count = 0
        self.changed = asyncio.Event()

    def event(self, text: str) -> bytes:
        """One encoded message by the person in the room."""
        self.number += 1
        return json.dumps(
            {
                "type": "m.room.message",
                "sender": PERSON,
                "content": {"msgtype": "m.text", "body": text},
                "origin_server_ts": time.time_ns() // 1_000_000,
                "unsigned": {"age": 5},
                "event_id": _event_id(self.seed, self.number),
            },
            separators=(",", ":"),
        ).encode()

    def sync_answer(
        self, events: list[bytes], *, limited: bool = False, first: bool = False
    ) -> bytes:
        """An encoded answer to /sync with `events` as the timeline."""
        self.position += 1
        state = json.dumps(_IN_SYNC).encode() if first else b"[]"
        return _answer(
            b'{"next_batch":"s%d","account_data":{"events":[]},"presence":{"events":[]},'
            b'"to_device":{"events":[]},"device_lists":{"changed":[],"left":[]},'
            b'"device_one_time_keys_count":{"signed_curve25519":0},"rooms":{"invite":{},"leave":{},'
            b'"join":{"%s":{"timeline":{"events":[%s],"limited":%s,"prev_batch":"g%d"},'
            b'"state":{"events":%s},"account_data":{"events":[]},"ephemeral":{"events":[]},'
            b'"unread_notifications":{"notification_count":0,"highlight_count":0},"summary":{}}}}}'
            % (
                self.position,
                ROOM_ID.encode(),
                b",".join(events),
                b"true" if limited else b"false",
                len(self.gap),
                state,
            )
        )

    def offer(self, answer: bytes) -> None:
        """Give `answer` to whoever polls now, or else to the next poll."""
        if self.poller and not self.ready:
            poller, self.poller = self.poller, None
            poller.write(answer)
        else:
            self.ready.append(answer)

    def poll(self, client: Client) -> None:
        """A long poll came in."""
        self.poll_count += 1
        if self.ready:
            client.write(self.ready.popleft())
        else:
            self.poller = client
        self.notify()

    def notify(self) -> None:
        """Wake the orders that wait for a count."""
        self.changed.set()
        self.changed.clear()

    async def until(self, condition: object) -> None:
        """Wait until `condition()` holds; it is looked at after every request that counts."""
        assert callable(condition)
        while not condition():
            await self.changed.wait()

    def put(self, client: Client) -> None:
        """A message was sent: acknowledge it, or keep the sender waiting."""
        self.put_count += 1
        if self.hold:
            self.held.append(client)
        else:
            self.acknowledge(client)
        self.notify()

    def acknowledge(self, client: Client) -> None:
        """Answer one PUT."""
        self.number += 1
        client.write(_answer(b'{"event_id":"%s"}' % _event_id(self.seed, self.number).encode()))

    def page(self, start: int, limit: int) -> bytes:
        """A page of the gap, newest first. The last one has no `end`, as on Synapse."""
        low = max(0, start - min(limit, PAGE_CAP))
        events = b",".join(reversed(self.gap[low:start]))
        end = b',"end":"g%d"' % low if low else b""
        return _answer(b'{"start":"g%d","chunk":[%s],"state":[]%s}' % (start, events, end))


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.room.poller is self:
            self.room.poller = None
        if self in self.room.held:
            self.room.held.remove(self)

    def write(self, answer: bytes) -> None:
        """Answer the request at hand."""
        if self.transport is not None:
            self.transport.write(answer)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        while True:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                break
            head = buffer[:end]
            size = _content_length(head)
            if len(buffer) < end + 4 + size:
                break
            method, target, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
            body, buffer = buffer[end + 4 : end + 4 + size], buffer[end + 4 + size :]
            self.request(method.decode(), target.decode(), body)
        self.buffer = buffer

    def request(self, method: str, target: str, body: bytes) -> None:
        """Route one request; the two hot paths first."""
        url = urlsplit(target)
        path = unquote(url.path)
        room = self.room
        if method == "PUT" and _SEND.search(path):
            room.put(self)
        elif path.endswith("/sync"):
            query = parse_qs(url.query)
            if "since" not in query:
                self.write(room.sync_answer([], first=True))
            elif query.get("timeout") == ["0"] and not room.ready:
                self.write(room.sync_answer([]))
            else:
                room.poll(self)
        elif path.endswith("/messages"):
            query = parse_qs(url.query)
            start = int(query.get("from", ["g0"])[0][1:] or 0)
            self.write(room.page(start, int(query.get("limit", ["10"])[0])))
        else:
            self.write(_plain(method, path))


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    return int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def _plain(method: str, path: str) -> bytes:
    """The endpoints that nobody measures."""
    if found := _STATE.search(path):
        return _state(found[1], found[2] or "")
    if path.endswith("/versions"):
        return _json({"versions": ["v1.1", "v1.11", "v1.12"], "unstable_features": {}})
    if path.endswith("/whoami"):
        return _json({"user_id": BOT, "device_id": "BENCH", "is_guest": False})
    if path.endswith("/joined_rooms"):
        return _json({"joined_rooms": [ROOM_ID]})
    if "/join" in path and method == "POST":
        return _json({"room_id": ROOM_ID})
    if path.endswith("/joined_members"):
        return _json({"joined": {PERSON: {"display_name": "Ann"}, BOT: {"display_name": "Mos"}}})
    if path.endswith("/members"):
        return _json({"chunk": [event for event in STATE if event["type"] == "m.room.member"]})
    if path.endswith("/filter"):
        return _json({"filter_id": "1"})
    if "/receipt/" in path or path.endswith("/read_markers"):
        return _json({})
    if "/profile/" in path:
        return _json({"displayname": "Ann"})
    if path.endswith("/devices"):
        return _json({"devices": [{"device_id": "BENCH"}]})
    return _UNRECOGNIZED


def _state(kind: str | None, key: str) -> bytes:
    if kind is None:
        return _json(STATE)
    for event in STATE:
        if event["type"] == kind and event["state_key"] == key:
            return _json(event["content"])
    return _NOT_FOUND


class Orders:
    """What the benchmark can ask for; every method's answer is one JSON line."""

    def __init__(self, room: Room) -> None:
        self.room = room

    async def wait_poll(self) -> object:
        """Wait until a client hangs in a long poll."""
        await self.room.until(lambda: self.room.poller is not None)
        return None

    async def prepare(self, count: int, batch: int) -> object:
        """Encode `count` events in sync answers of `batch` each; `push` lets them go."""
        room = self.room
        texts = [TEXT] * (count - 1) + ["last"]
        events = [room.event(text) for text in texts]
        self.prepared = [room.sync_answer(events[at : at + batch]) for at in range(0, count, batch)]
        gc.collect()
        gc.freeze()
        return None

    async def push(self) -> object:
        """Let the prepared answers go, as fast as they are polled for."""
        first, *rest = self.prepared
        self.room.ready.extend(rest)
        if self.room.poller:
            poller, self.room.poller = self.room.poller, None
            poller.write(first)
        else:
            self.room.ready.appendleft(first)
        return None

    async def pace(self, count: int, per_s: float) -> object:
        """Send `count` events, `per_s` a second; the text is the monotonic time in ns."""
        room, loop = self.room, asyncio.get_running_loop()
        start = loop.time()
        for number in range(count):
            await asyncio.sleep(start + number / per_s - loop.time())
            mark = f"t={time.monotonic_ns()}" + (" last" if number == count - 1 else "")
            room.offer(room.sync_answer([room.event(mark)]))
        return None

    async def open_gap(self, count: int) -> object:
        """Answer the next poll as limited, with `count` events hidden before its ten."""
        room = self.room
        room.gap = [room.event(f"hidden {number}") for number in range(count)]
        shown = [room.event(f"shown {number}") for number in range(9)] + [room.event("last")]
        room.offer(room.sync_answer(shown, limited=True))
        return None

    async def hold(self, on: bool) -> object:
        """Keep every send waiting from now on, or let all go."""
        self.room.hold = on
        if not on:
            held, self.room.held = self.room.held, []
            for client in held:
                self.room.acknowledge(client)
        return None

    async def puts(self) -> object:
        """How many sends came so far."""
        return self.room.put_count

    async def wait_puts(self, count: int) -> object:
        """Wait until so many sends have come in all."""
        await self.room.until(lambda: self.room.put_count >= count)
        return self.room.put_count


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    room = Room()
    orders = Orders(room)
    server = await loop.create_server(lambda: Client(room), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        answer = await getattr(orders, order.pop("do"))(**order)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
