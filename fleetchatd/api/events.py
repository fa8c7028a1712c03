"""Events as a stream of NDJSON, fed from the journal.

A reader costs its cursor and at most one chunk: while it does not read, nothing is queued for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from fleetchatd.api.problems import RequestError, bad_request, unprocessable
from fleetchatd.api.query import Query
from fleetchatd.api.service import Service
from fleetchatd.api.streams import Stream
from fleetchatd.model import EVENT_CLASSES, EVENT_TYPES, Filter

CHUNK_BYTES = 16 * 1024
"""What a reader gets at once, and so the most that one that does not read may hold."""

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
    if wish.name is None:
        return await _serve(service, request, wish, _cursor(service, query, after), Stream())
    if after is not None:
        raise bad_request("after is for readers without a name: acknowledge instead", "bad-query")
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
    cursor = query.number("after", last, 0, 10**18)
    if cursor > last:
        raise unprocessable(f"there is no event {cursor} yet; the last is {last}", "unknown-seq")
    return cursor


async def _serve(
    service: Service, request: web.BaseRequest, wish: Wish, cursor: int, reader: Stream
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=0)
    await response.prepare(request)
    service.streams.enter(None, reader)
    try:
        await _feed(service, request, response, wish, cursor, reader)
        await response.write_eof()
    except ConnectionError:
        pass  # the reader went away; what it did not acknowledge it gets again
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
    deadline = asyncio.get_running_loop().time() + wish.wait_s
    while reader.last_line is None:
        page = journal.events_after(cursor, wish.wanted, CHUNK_BYTES)
        if page.lines:
            await response.write(page.lines)
            await request.writer.drain()
        if page.last_seq > cursor:
            cursor = page.last_seq
            if page.lines:
                deadline = 0.0
            continue
        if wish.follow:
            reader.waiting = journal.changed()
            await reader.waiting
            continue
        try:
            async with asyncio.timeout_at(deadline):
                reader.waiting = journal.changed()
                await reader.waiting
        except TimeoutError:
            return
    if reader.last_line:
        await response.write(reader.last_line)
