"""What can go wrong between a homeserver and its client, one request at a time.

A fault is an action for the requests that match a method, a path and a number:

    server.fail("PUT", "*/send/*", refuse(429, "M_LIMIT_EXCEEDED", retry_after_ms=50), times=2)
    server.fail("PUT", "*/send/*", lose_answer())              # processed, never answered
    server.fail("GET", "*/sync", rewrite(duplicate_timelines), nth=3)
    held = server.hold("PUT", "*/send/*"); await held.reached(); held.release()
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.fakes.calls import Answer, Call, ConnectionDropped

Process = Callable[[], Awaitable[Answer]]
"""Handles the request as an honest server would; an action may call it or not."""
Action = Callable[[Call, Process], Awaitable[Answer]]


@dataclass
class Fault:
    """An action for the `nth` matching request and those after it, `times` in all.

    Attributes:
        method: a glob, as is `path`, over the decoded path; `*` crosses slashes.
        times: None for every one.
    """

    method: str
    path: str
    action: Action
    nth: int = 1
    times: int | None = 1
    seen: int = 0

    def takes(self, call: Call) -> bool:
        """Whether this request is to fail; counts it."""
        if not (fnmatchcase(call.method, self.method) and fnmatchcase(call.path, self.path)):
            return False
        self.seen += 1
        past = self.seen - self.nth
        return past >= 0 and (self.times is None or past < self.times)


class Hold:
    """Requests that stay unanswered until the test lets them go on."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._released = asyncio.Event()

    async def reached(self, timeout_s: float = 20.0) -> None:
        """Wait until a request is being held."""
        async with asyncio.timeout(timeout_s):
            await self._reached.wait()

    def release(self) -> None:
        """Let every held request, and every later one, be processed."""
        self._released.set()

    async def before(self, _call: Call, process: Process) -> Answer:
        """Hold the request before it is processed."""
        await self._wait()
        return await process()

    async def after(self, _call: Call, process: Process) -> Answer:
        """Process the request and hold its answer."""
        answer = await process()
        await self._wait()
        return answer

    async def _wait(self) -> None:
        self._reached.set()
        await self._released.wait()


# Refusals and garbage: nothing is processed


def refuse(
    status: int,
    errcode: str = "M_UNKNOWN",
    error: str = "scripted",
    *,
    retry_after: str | None = None,
    **more: object,
) -> Action:
    """Refuse in the protocol's shape; `retry_after` is the header, `more` goes into the body."""
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    return respond(Answer.of({"errcode": errcode, "error": error, **more}, status, **headers))


def html(status: int = 502) -> Action:
    """A proxy's error page."""
    page = b"<html><body><h1>%d Bad Gateway</h1></body></html>" % status
    return respond(Answer(status, page, {"Content-Type": "text/html"}))


def body(text: bytes, status: int = 200, mime: str = "application/json") -> Action:
    """Any bytes at all in the place of an answer."""
    return respond(Answer(status, text, {"Content-Type": mime}))


def reply(value: object, status: int = 200) -> Action:
    """Any JSON at all in the place of an answer."""
    return respond(Answer.of(value, status))


def respond(answer: Answer) -> Action:
    async def action(_call: Call, _process: Process) -> Answer:
        return answer

    return action


# Connections


def drop() -> Action:
    """Close the connection; nothing was processed."""

    async def action(_call: Call, _process: Process) -> Answer:
        raise ConnectionDropped

    return action


def lose_answer() -> Action:
    """Process the request, then close the connection without a word."""

    async def action(_call: Call, process: Process) -> Answer:
        await process()
        raise ConnectionDropped

    return action


def cut_answer() -> Action:
    """Process the request and close the connection in the middle of the answer's body."""

    async def action(_call: Call, process: Process) -> Answer:
        raise ConnectionDropped(await process())

    return action


def hang() -> Action:
    """Accept the request and never answer; nothing is processed."""

    async def action(_call: Call, _process: Process) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that event")

    return action


def delay(seconds: float) -> Action:
    """Process the request only after a while."""

    async def action(_call: Call, process: Process) -> Answer:
        await asyncio.sleep(seconds)
        return await process()

    return action


# Answers that lie


def rewrite(change: Callable[[Any], Any]) -> Action:
    """Process the request and change the answer's JSON; `change` may edit it in place.

    A `change` that returns None has edited in place.
    """

    async def action(_call: Call, process: Process) -> Answer:
        answer = await process()
        parsed = answer.json
        changed = change(parsed)
        return Answer.of(parsed if changed is None else changed, answer.status)

    return action


def truncate() -> Action:
    """Process the request and answer with the first half of the JSON, as if that were all."""

    async def action(_call: Call, process: Process) -> Answer:
        answer = await process()
        return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)

    return action


def timelines(sync: Any) -> list[dict[str, Any]]:
    """The timelines of a sync answer, to be edited in place."""
    joined = sync.get("rooms", {}).get("join", {})
    return [room["timeline"] for room in joined.values()]


def duplicate_timelines(sync: Any) -> None:
    """Every event of every timeline comes twice."""
    for timeline in timelines(sync):
        timeline["events"] = [event for event in timeline["events"] for _ in range(2)]


def reverse_timelines(sync: Any) -> None:
    for timeline in timelines(sync):
        timeline["events"].reverse()


def without_prev_batch(sync: Any) -> None:
    for timeline in timelines(sync):
        timeline.pop("prev_batch", None)


def limited_without_prev_batch(sync: Any) -> None:
    """Say that something is missing, and not how to get it."""
    for timeline in timelines(sync):
        timeline["limited"] = True
        timeline.pop("prev_batch", None)


def empty_limited(sync: Any) -> None:
    """Leave the events out and say that they must be fetched by `/messages`."""
    for timeline in timelines(sync):
        if timeline["events"]:
            timeline["limited"] = True
        timeline["events"] = []


def lone_surrogates(value: Any) -> Any:
    """Put half of a surrogate pair behind every body of every message."""
    text = json.dumps(value)
    return json.loads(text.replace('"msgtype"', '"x\\ud800": "\\udfff", "msgtype"'))
