"""Events as a stream of NDJSON, fed from the journal.

A reader costs its cursor and at most one chunk: while it does not read, nothing is queued for it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable
from dataclasses import dataclass

import structlog
from aiohttp import web

from fleetchatd.api.problems import RequestError, bad_request, unprocessable
from fleetchatd.api.query import Query
from fleetchatd.api.service import Service
from fleetchatd.api.streams import Stream
from fleetchatd.journal.base import Journal
from fleetchatd.model import EVENT_CLASSES, EVENT_TYPES, Filter

PAGE_BYTES = 16 * 1024
"""About what is fetched for a reader at once."""

PIECE_BYTES = 16 * 1024
"""What is written at once, and so the most that waits for a reader that does not read."""

EVERYTHING = Filter()

log = structlog.get_logger("fleetchatd.api")

QUERY = ("subscriber", "after", "from", "types", "class", "follow", "wait_s", "takeover")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader asked for; `after` is where an anonymous one begins."""

    name: str | None
    wanted: Filter
    follow: bool
    wait_s: float
    takeover: bool
    from_start: bool
    after: int


def stream(service: Service, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
    """Stream events, to a durable subscriber or to an anonymous reader."""
    # Not a coroutine itself: its frame would stay for as long as somebody reads.
    wish = _wish(service, Query(request, QUERY))
    if request.method == "HEAD":
        return _header(request)
    if wish.name is None:
        return _serve(service, request, wish, wish.after, Stream())
    return _serve_subscriber(service, request, wish, wish.name)


async def _serve_subscriber(
    service: Service, request: web.BaseRequest, wish: Wish, name: str
) -> web.StreamResponse:
    if service.streams.connected(name):
        if not wish.takeover:
            raise RequestError(
                409,
                "subscriber-busy",
                f"{name} is being read already; takeover=true ends that",
            )
        service.streams.supersede(name)
    reader = Stream()
    service.streams.enter(name, reader)
    try:
        acked = await service.journal.subscribe(name, wish.wanted, from_start=wish.from_start)
        return await _serve(service, request, wish, acked, reader)
    finally:
        service.streams.leave(name, reader)


def _wish(service: Service, query: Query) -> Wish:
    name, after = query.name("subscriber"), query.text("after")
    from_start = query.choice("from", ("start",)) is not None
    if from_start and name is None:
        raise bad_request("from is for subscribers: without a name, use after=0", "bad-query")
    if after is not None and name is not None:
        raise bad_request("after is for readers without a name: acknowledge instead", "bad-query")
    return Wish(
        name=name,
        wanted=_filter(query.several("types", EVENT_TYPES), query.several("class", EVENT_CLASSES)),
        follow=query.flag("follow", default=True),
        wait_s=query.seconds("wait_s"),
        takeover=query.flag("takeover", default=False),
        from_start=from_start,
        after=_cursor(service, query),
    )


@functools.lru_cache(maxsize=64)
def _filter(types: frozenset[str] | None, classes: frozenset[str] | None) -> Filter:
    """One filter for all readers that want the same."""
    return Filter(types, classes)


def _cursor(service: Service, query: Query) -> int:
    last = service.journal.last_seq
    cursor = query.number("after", last, 0)
    if cursor > last:
        raise unprocessable(f"there is no event {cursor} yet; the last is {last}", "unknown-seq")
    return cursor


async def _header(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=0)
    await response.prepare(request)
    return response


async def _serve(
    service: Service, request: web.BaseRequest, wish: Wish, cursor: int, reader: Stream
) -> web.StreamResponse:
    response = await _header(request)
    service.streams.enter(None, reader)
    try:
        await _feed(service, request, response, wish, cursor, reader)
        await response.write_eof()
    except ConnectionError:
        # The reader went away, or shall; what it did not acknowledge it gets again.
        if request.transport is not None:
            request.transport.abort()
    except Exception:
        # Another answer would come out in the middle of this one.
        log.exception("a stream broke off")
        if request.transport is not None:
            request.transport.abort()
    finally:
        service.streams.leave(None, reader)
    return response


async def _feed(
    service: Service,
    request: web.BaseRequest,
    response: web.StreamResponse,
    wish: Wish,
    cursor: int,
    reader: Stream,
) -> None:
    journal = service.journal
    deadline = None if wish.follow else asyncio.get_running_loop().time() + wish.wait_s
    end = None if wish.follow or wish.wait_s else journal.last_seq
    while reader.last_line is None:
        if end is not None and cursor >= end:
            return
        if journal.last_seq > cursor:
            cursor, found = await _pass_on(journal, request, response, wish.wanted, cursor)
            if found and end is None and not wish.follow:
                end = journal.last_seq  # it waited for the first, and gets what came with it
            continue
        reader.waiting = journal.changed()
        if deadline is None:
            await reader.waiting
            continue
        try:
            async with asyncio.timeout_at(deadline):
                await reader.waiting
        except TimeoutError:
            return
    await response.write(reader.last_line)


async def _pass_on(
    journal: Journal,
    request: web.BaseRequest,
    response: web.StreamResponse,
    wanted: Filter,
    cursor: int,
) -> tuple[int, bool]:
    """Write the next page; says how far it reached, and whether there was anything in it.

    While the reader does not read, nothing of the page is held but what the transport has.
    """
    page = journal.events_after(cursor, wanted, PAGE_BYTES)
    reached, lines = page.last_seq, page.lines
    del page
    if not lines:
        return reached, False
    long_line = None
    if len(lines) > PIECE_BYTES:  # then it is the last one that is long
        start = lines.rfind(b"\n", 0, -1) + 1
        long_line = _seq_of(lines[start : start + 40]), len(lines) - start
        lines = lines[:start]
    await response.write(lines)
    del lines
    await request.writer.drain()
    if long_line is not None:
        await _pass_on_long(journal, request, response, *long_line)
    return reached, True


async def _pass_on_long(
    journal: Journal,
    request: web.BaseRequest,
    response: web.StreamResponse,
    seq: int,
    size: int,
) -> None:
    """Write one long line piece by piece; it is fetched again when the reader has read."""
    line = b""
    for start in range(0, size, PIECE_BYTES):
        if not line:
            line = journal.events_after(seq - 1, EVERYTHING, 1).lines
            if len(line) != size or _seq_of(line[:40]) != seq:
                # It was redacted or pruned meanwhile. The reader comes again, and gets it so.
                raise ConnectionAbortedError
        await response.write(line[start : start + PIECE_BYTES])
        if request.transport is not None and request.transport.get_write_buffer_size():
            line = b""
        await request.writer.drain()


def _seq_of(beginning_of_line: bytes) -> int:
    return int(beginning_of_line.removeprefix(b'{"seq":').partition(b",")[0])
