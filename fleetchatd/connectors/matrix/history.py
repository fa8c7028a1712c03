"""A room's history, walked backwards ("GET /rooms/{roomId}/messages"): gaps, and look-ups.

Servers differ in where they stop: at `to`, at an empty page, at the room's beginning. So a walk
stops by itself at the events that are known (`Position.anchors`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fleetchatd.connectors.matrix.api import Api, Refused, path
from fleetchatd.connectors.matrix.events import id_of
from fleetchatd.connectors.untrusted import mapping_of

PAGE = 1000
"""Events asked for at once; servers may give fewer."""

_FILTER = '{"lazy_load_members":true}'

HELD_EVENTS = 20_000
"""Events of a gap held in memory. Pages of a longer one are fetched again when their turn comes."""

Keep = Callable[[list[Any], Sequence[Any]], Iterable[Any]]


async def pages_back(
    api: Api, room_id: str, start: str | None, to: str | None
) -> AsyncIterator[tuple[str | None, list[Any], Sequence[Any]]]:
    """(token, events, newest first, members) page by page, from `start` or the room's end.

    A page without events is not the end while the server gives a token for the next: those that
    we may not see are left out of it.

    Raises:
        ApiError: a page could not be had.
    """
    token = start
    been: set[str | None] = set()
    while token not in been:
        been.add(token)
        answer = await _page(api, room_id, token, to)
        events, end = answer.get("chunk"), answer.get("end")
        if not isinstance(events, list) or (end is not None and id_of(end) is None):
            raise Refused(200, "", "to /messages with something else than an answer to it")
        yield token, events, _members(answer)
        if end is None:
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


@dataclass(slots=True)
class _Held:
    """A page of a gap.

    Attributes:
        kept: what is held of it; None if it must be fetched again.
        length: how many of its events, from the newest on, are in the gap.
    """

    token: str | None
    kept: Sequence[Any] | None
    length: int


@dataclass(slots=True)
class Gap:
    """What lies between two answers to `/sync`, walked over from its newest event to its oldest.

    Args:
        api: of the homeserver.
        room_id: the room.
        since: the token of the answer before it; None if that tells nothing.
        known: whether an event is known, so that what is older is too.
        keep: turns a page's events, oldest first, and the members who speak there into what is to
            be held of them.

    Attributes:
        lost: why its oldest part cannot be had; None if it is whole.
    """

    api: Api
    room_id: str
    since: str | None
    known: Callable[[Any], bool]
    keep: Keep
    lost: str | None = None
    _pages: list[_Held] = field(default_factory=list)

    async def measure(self, start: str | None) -> None:
        """Walk over it, from the token `start` or the room's end on.

        Raises:
            ApiError: a page could not be had now; the caller tries the whole gap again.
        """
        beginning = False
        try:
            async for token, events, members in pages_back(
                self.api, self.room_id, start, self.since
            ):
                end = next((i for i, event in enumerate(events) if self.known(event)), None)
                fresh = events if end is None else events[:end]
                self._hold(_Held(token, list(self.keep(fresh[::-1], members)), len(fresh)))
                if end is not None:
                    return
                beginning = beginning or any(map(_begins_the_room, fresh))
        except Refused as refusal:
            if not refusal.final:
                raise
            self.lost = str(refusal)
            return
        if beginning or self.since is None:
            # The server does not stop at `since`, so what was walked over may be long known.
            self._pages.clear()
            self.lost = "the last events that are known are not in the room any more"

    def _hold(self, page: _Held) -> None:
        self._pages.append(page)
        held = sum(len(page.kept) for page in self._pages if page.kept is not None)
        for early in self._pages:  # those fetched first are needed last
            if held <= HELD_EVENTS:
                return
            held -= len(early.kept or ())
            early.kept = None

    async def pages(self) -> AsyncIterator[Sequence[Any]]:
        """Its pages as they are held, oldest first.

        Raises:
            ApiError: a page could not be had again.
        """
        for page in reversed(self._pages):
            if page.kept is not None:
                yield page.kept
                continue
            answer = await _page(self.api, self.room_id, page.token, self.since)
            again = answer.get("chunk")
            if not isinstance(again, list):
                raise Refused(200, "", "a page of the room's history could not be had again")
            yield list(self.keep(again[: page.length][::-1], _members(answer)))


def _begins_the_room(raw: Any) -> bool:
    return mapping_of(raw).get("type") == "m.room.create"


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
            event_id = id_of(mapping_of(event).get("event_id"))
            if event_id is not None and mine(event):
                return event_id
            if event_id in anchors:
                return None
    return None
