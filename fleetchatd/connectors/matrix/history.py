"""A room's history, walked backwards ("GET /rooms/{roomId}/messages"): gaps, and look-ups.

Servers differ in where they stop: at `to`, at an empty page, at the room's beginning. So a walk
stops by itself at the events that are known (`Position.anchors`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Sequence
from typing import Any
from urllib.parse import urlencode

from fleetchatd.connectors.matrix.api import Api, Refused, path
from fleetchatd.connectors.matrix.events import mapping_of

PAGE = 500
"""Events asked for at once; servers may give fewer."""

_FILTER = '{"lazy_load_members":true}'

HELD_EVENTS = 20_000
"""Events of a gap held in memory. Pages of a longer one are fetched again when their turn comes."""


async def pages_back(
    api: Api, room_id: str, start: str | None, to: str | None
) -> AsyncIterator[tuple[str | None, list[Any], Sequence[Any]]]:
    """(token, events, newest first, members) page by page, from `start` or the room's end.

    Raises:
        ApiError: a page could not be had.
    """
    token = start
    while True:
        answer = await _page(api, room_id, token, to)
        events = answer.get("chunk")
        if not isinstance(events, list) or not events:
            return
        yield token, events, _members(answer)
        end = answer.get("end")
        if not isinstance(end, str) or end == token:
            return
        token = end


async def _page(api: Api, room_id: str, token: str | None, to: str | None) -> dict[str, Any]:
    query = {"dir": "b", "limit": str(PAGE), "filter": _FILTER}
    if token is not None:
        query["from"] = token
    if to is not None:
        query["to"] = to
    return await api.request("GET", f"{path('rooms', room_id, 'messages')}?{urlencode(query)}")


def _members(answer: dict[str, Any]) -> Sequence[Any]:
    """The member events of those who speak on a page, which lazy loading brings with it."""
    state = answer.get("state")
    return state if isinstance(state, list) else ()


async def missing(
    api: Api,
    room_id: str,
    start: str,
    since: str,
    stop: Callable[[Any], bool],
    keep: Callable[[list[Any], Sequence[Any]], Sequence[Any]],
) -> AsyncIterator[Sequence[Any]]:
    """What lies between `since` and `start`, as pages of events, oldest first.

    Args:
        api: of the homeserver.
        room_id: the room.
        start: `prev_batch` of the timeline that the gap lies before.
        since: the token of the answer before it.
        stop: whether an event is known, so that what is older is too.
        keep: turns a page's events, oldest first, and the members who speak there into what is to
            be held of them.

    Raises:
        ApiError: a page could not be had; the caller tries the whole gap again.
    """
    found: list[tuple[str | None, Sequence[Any] | None, int]] = []
    held = 0
    async for token, events, members in pages_back(api, room_id, start, since):
        end = next((number for number, event in enumerate(events) if stop(event)), None)
        fresh = events if end is None else events[:end]
        kept = keep(fresh[::-1], members)
        found.append((token, kept, len(fresh)))
        held += len(kept)
        while held > HELD_EVENTS:  # those fetched first are needed last
            number = next(i for i, page in enumerate(found) if page[1] is not None)
            token, dropped, length = found[number]
            found[number] = (token, None, length)
            held -= len(dropped or ())
        if end is not None:
            break
    for token, page, length in reversed(found):
        if page is not None:
            yield page
            continue
        answer = await _page(api, room_id, token, since)
        again = answer.get("chunk")
        if not isinstance(again, list):
            raise Refused(200, "", "a page of the room's history could not be had again")
        yield keep(again[:length][::-1], _members(answer))


async def find_own(
    api: Api,
    room_id: str,
    to: str | None,
    anchors: Container[str],
    mine: Callable[[Any], bool],
) -> str | None:
    """The id of our event that `mine` recognises, looked for from the room's end backwards.

    Raises:
        ApiError: a page could not be had.
    """
    async for _, events, _ in pages_back(api, room_id, None, to):
        for event in events:
            event_id = mapping_of(event).get("event_id")
            if isinstance(event_id, str) and mine(event):
                return event_id
            if isinstance(event_id, str) and event_id in anchors:
                return None
    return None
