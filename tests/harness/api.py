"""The socket API as a test sees it (contract §3): JSON in, JSON out, nothing hidden."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from tests.harness.waiting import eventually

Json = dict[str, Any]
_LONGEST_LINE_BYTES = 8 << 20


class Reply(NamedTuple):
    """What the daemon answered: any status."""

    status: int
    body: Any
    headers: Mapping[str, str]


class ApiError(Exception):
    """The daemon refused what a test asked for."""

    def __init__(self, request: str, reply: Reply) -> None:
        super().__init__(f"{request}: {reply.status} {reply.body}")
        self.status = reply.status
        self.kind = reply.body.get("kind") if isinstance(reply.body, dict) else None
        self.detail = reply.body.get("detail") if isinstance(reply.body, dict) else None


class EventStream:
    """A live `GET /v1/events`; iterating gives the objects as they come.

    Attributes:
        headers: the response's header, which comes before the first event.
    """

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.headers = answer.headers

    def __aiter__(self) -> AsyncIterator[Json]:
        return self._objects()

    async def _objects(self) -> AsyncIterator[Json]:
        while (event := await self.next_or_end(None)) is not None:
            yield event

    async def next_or_end(self, timeout_s: float | None = 20.0) -> Json | None:
        """The next object; None when the stream has ended."""
        async with asyncio.timeout(timeout_s):
            while line := await self._answer.content.readline():
                if line.strip():
                    event: Json = json.loads(line)
                    return event
        return None

    async def next(self, timeout_s: float = 20.0) -> Json:
        """The next object."""
        event = await self.next_or_end(timeout_s)
        assert event is not None, "the stream ended"
        return event

    async def take(self, count: int, timeout_s: float = 20.0) -> list[Json]:
        """The next `count` objects; each may take `timeout_s`."""
        return [await self.next(timeout_s) for _ in range(count)]

    async def until(self, predicate: Callable[[Json], object], timeout_s: float = 20.0) -> Json:
        """Skip to the first object that satisfies `predicate`."""
        async with asyncio.timeout(timeout_s):
            while not predicate(event := await self.next(timeout_s)):
                pass
        return event


class Api:
    """The daemon behind one socket. Every request has a connection of its own."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    @asynccontextmanager
    async def _session(self, timeout_s: float | None) -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession(
            base_url="http://fleetchat",
            connector=aiohttp.UnixConnector(str(self.socket)),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            read_bufsize=_LONGEST_LINE_BYTES,
        ) as session:
            session._retry_connection = False  # a broken connection is for the test to see
            yield session

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout_s: float = 90.0,
    ) -> Reply:
        """Make any request; `data` sends raw bytes where `body` would send JSON."""
        async with (
            self._session(timeout_s) as session,
            session.request(
                method, path, json=body, data=data, params=_texts(query), headers=headers
            ) as answer,
        ):
            content = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            parsed = json.loads(content) if is_json and content else content.decode()
            return Reply(answer.status, parsed, answer.headers)

    async def demand(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        """Make a request that must succeed; return its body.

        Raises:
            ApiError: anything but 2xx.
        """
        reply = await self.request(method, path, body, **more)
        if not 200 <= reply.status < 300:
            raise ApiError(f"{method} {path}", reply)
        return reply.body

    async def send(
        self, text: str, *, key: str | None = None, wait_s: float | None = None, **fields: Any
    ) -> Json:
        """Send a message; return it as the daemon shows it."""
        headers = {} if key is None else {"Idempotency-Key": key}
        query = {"wait_s": wait_s}
        answer = await self.demand(
            "POST", "/v1/messages", {"text": text, **fields}, query=query, headers=headers
        )
        return dict(answer)

    async def send_surely(self, text: str, key: str, timeout_s: float = 60.0, **more: Any) -> Json:
        """Send until it is accepted, over any deaths of the daemon: the key makes it one message.

        Somebody else must start the daemon again.
        """

        async def probe() -> Json | None:
            try:
                return await self.send(text, key=key, **more)
            except aiohttp.ClientError:
                return None

        return await eventually(f"{text!r} accepted", probe, timeout_s=timeout_s)

    async def refusal(self, **request: Any) -> tuple[int, str]:
        """Status and kind of a `POST /v1/messages` that must be refused."""
        reply = await self.request("POST", "/v1/messages", **request)
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert reply.body["status"] == reply.status
        return reply.status, reply.body["kind"]

    async def message(self, message_id: str) -> Json:
        return dict(await self.demand("GET", f"/v1/messages/{message_id}"))

    async def final(self, message_id: str, timeout_s: float = 20.0) -> Json:
        """Wait until a message has reached a final state; return it."""

        async def probe() -> Json | None:
            message = await self.message(message_id)
            return message if message["state"] in ("delivered", "failed", "unknown") else None

        return await eventually(f"message {message_id} final", probe, timeout_s=timeout_s)

    async def history(self, **query: object) -> list[Json]:
        """`GET /v1/messages`, newest first."""
        answer = await self.demand("GET", "/v1/messages", query=query)
        return list(answer["messages"])

    @asynccontextmanager
    async def events(self, **query: object) -> AsyncIterator[EventStream]:
        """Open an event stream: `async with api.events(subscriber="mos") as stream`.

        Raises:
            ApiError: the daemon refuses it.
        """
        async with (
            self._session(None) as session,
            session.get("/v1/events", params=_texts(query)) as answer,
        ):
            if answer.status != 200:
                reply = Reply(answer.status, await answer.json(content_type=None), answer.headers)
                raise ApiError("GET /v1/events", reply)
            yield EventStream(answer)

    async def pending(self, **query: object) -> list[Json]:
        """What is there now: a stream with `follow=false`, read to its end."""
        async with self.events(follow=False, **query) as stream:
            return [event async for event in stream]

    async def ack(self, subscriber: str, seq: int) -> None:
        await self.demand("POST", f"/v1/subscribers/{subscriber}/ack", {"seq": seq})

    async def subscribers(self) -> list[Json]:
        return list((await self.demand("GET", "/v1/subscribers"))["subscribers"])

    async def health(self) -> Json:
        """The health object, whatever its HTTP status."""
        return dict((await self.request("GET", "/v1/health")).body)

    async def wait_health(
        self, predicate: Callable[[Json], object], timeout_s: float = 30.0
    ) -> Json:
        """Wait until health satisfies `predicate`; return it."""
        last: Json = {}

        async def probe() -> Json | None:
            last.update(await self.health())
            return dict(last) if predicate(last) else None

        try:
            return await eventually("the health waited for", probe, timeout_s=timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the last was {last}") from None

    async def reload(self) -> Reply:
        return await self.request("POST", "/v1/reload")


def _texts(query: Mapping[str, object] | None) -> dict[str, str]:
    """Query values as the API writes them; None leaves a key out."""
    given = {key: value for key, value in (query or {}).items() if value is not None}
    return {
        # `from` and `class` are Python's own words: from_ and class_ stand for them.
        key.rstrip("_"): str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in given.items()
    }
