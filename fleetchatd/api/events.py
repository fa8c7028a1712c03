"""Events as a stream of NDJSON, fed from the journal.

A reader costs its cursor and at most one chunk: while it does not read, nothing is queued for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from aiohttp import web

from fleetchatd.api.problems import RequestError, bad_request, unprocessable
from fleetchatd.api.query import Query
from fleetchatd.api.service import Service
from fleetchatd.api.streams import Stream
from fleetchatd.model import EVENT_CLASSES, EVENT_TYPES, Filter

PAGE_BYTES = 16 * 1024
"""About what is fetched for a reader at once."""

PIECE_BYTES = 20 * 1024
"""What is written at once, and so the most that waits for a reader that does not read."""

log = structlog.get_logger("fleetchatd.api")

QUERY = ("subscriber", "after", "from", "types", "class", "follow", "wait_s", "takeover")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader asked for."""

    name: str | None
    wanted: Filter
    follow: bool
    wait_s: float


async def stream(service: Service, request: web.BaseRequest) -> web.StreamResponse:
    """Stream events, to a durable subscriber or to an anonymous reader."""
    query = Query(request, QUERY)
    wish = Wish(
        name=query.name("subscriber"),
        wanted=Filter(query.several("types", EVENT_TYPES), query.several("class", EVENT_CLASSES)),
        follow=query.flag("follow", default=True),
        wait_s=query.seconds("wait_s"),
    )
    takeover = query.flag("takeover", default=False)
    from_start = query.choice("from", ("start",)) is not None
    after = query.text("after")
    if from_start and wish.name is None:
        raise bad_request("from is for subscribers: without a name, use after=0", "bad-query")
    if after is not None and wish.name is not None:
        raise bad_request("after is for readers without a name: acknowledge instead", "bad-query")
    if request.method == "HEAD":
        return await _header(request)
    if wish.name is None:
        return await _serve(service, request, wish, _cursor(service, query, after), Stream())
    if service.streams.connected(wish.name):
        if not takeover:
            raise RequestError(
                409,
                "subscriber-busy",
                f"{wish.name} is being read already; takeover=true ends that",
            )
        service.streams.supersede(wish.name)
    reader = Stream()
    service.streams.enter(wish.name, reader)
    try:
        acked = await service.journal.subscribe(wish.name, wish.wanted, from_start=from_start)
        return await _serve(service, request, wish, acked, reader)
    finally:
        service.streams.leave(wish.name, reader)


def _cursor(service: Service, query: Query, after: str | None) -> int:
    last = service.journal.last_seq
    if after is None:
        return last
    cursor = query.number("after", last, 0, 10**40)
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
        pass  # the reader went away; what it did not acknowledge it gets again
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
        page = journal.events_after(cursor, wish.wanted, PAGE_BYTES)
        await _write(request, response, page.lines)
        if page.lines and end is None and not wish.follow:
            end = journal.last_seq  # it waited for the first, and gets what came with it
        if end is not None and page.last_seq >= end:
            return
        if page.last_seq > cursor:
            cursor = page.last_seq
            continue
        try:
            async with asyncio.timeout_at(deadline):
                reader.waiting = journal.changed()
                await reader.waiting
        except TimeoutError:
            return
    await response.write(reader.last_line)


async def _write(request: web.BaseRequest, response: web.StreamResponse, lines: bytes) -> None:
    whole = memoryview(lines)
    for start in range(0, len(lines), PIECE_BYTES):
        await response.write(whole[start : start + PIECE_BYTES])
        await request.writer.drain()
