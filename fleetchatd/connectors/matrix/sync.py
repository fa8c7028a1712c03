"""What a `/sync` answer says of our room: pure parsing ("Syncing", GET /sync)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import orjson

from fleetchatd.connectors.matrix.events import id_of
from fleetchatd.connectors.untrusted import mapping_of

_NOTHING = {"types": [], "not_types": ["*"]}

Place = Literal["join", "invite", "leave"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, reduced to our room.

    Attributes:
        place: under which heading the room came; None if there was nothing new of it.
        state: state events before the timeline.
        timeline: the newest events, oldest first.
        limited: older events are missing before the timeline.
        prev_batch: where those are to be had.
    """

    next_batch: str
    place: Place | None = None
    state: Sequence[Any] = ()
    timeline: Sequence[Any] = ()
    limited: bool = False
    prev_batch: str | None = None


def parse_answer(raw: Mapping[str, Any], room_id: str) -> Answer | None:
    """The part of an answer that is about `room_id`; None if it is no answer at all."""
    next_batch = id_of(raw.get("next_batch"))
    if next_batch is None:
        return None
    rooms = mapping_of(raw.get("rooms"))
    places: tuple[Place, ...] = ("join", "invite", "leave")
    for place in places:
        section = mapping_of(rooms.get(place)).get(room_id)
        if isinstance(section, dict):
            return _answer(next_batch, place, section)
    return Answer(next_batch)


def _answer(next_batch: str, place: Place, section: Mapping[str, Any]) -> Answer:
    timeline = mapping_of(section.get("timeline"))
    state = section.get("invite_state" if place == "invite" else "state")
    return Answer(
        next_batch,
        place,
        state=_events(mapping_of(state)),
        timeline=_events(timeline),
        limited=timeline.get("limited") is True,
        prev_batch=id_of(timeline.get("prev_batch")),
    )


def _events(section: Mapping[Any, Any]) -> Sequence[Any]:
    found = section.get("events")
    return found if isinstance(found, list) else ()


def sync_path(
    room_id: str, *, since: str | None, limit: int, timeout_ms: int, nonce: str = ""
) -> str:
    """The path and query of a `/sync` that tells of one room only ("Filtering").

    Args:
        room_id: the room.
        since: the token of the answer before; None: how it stands now.
        limit: events wanted at once.
        timeout_ms: how long the homeserver may wait for news.
        nonce: makes the request unlike any other: Synapse answers the same one without `since`
            from its cache for minutes.
    """
    query = f"filter={_filter(room_id, limit, nonce)}&timeout={timeout_ms}"
    if since is not None:
        query += f"&since={quote(since, safe='')}"
    return f"/_matrix/client/v3/sync?{query}"


@functools.lru_cache(maxsize=8)
def _filter(room_id: str, limit: int, nonce: str) -> str:
    """What is wanted, encoded for a query."""
    wanted = {
        "presence": _NOTHING,
        "account_data": _NOTHING | ({"types": [nonce]} if nonce else {}),
        "room": {
            "rooms": [room_id],
            "account_data": _NOTHING,
            "ephemeral": _NOTHING,
            "state": {"lazy_load_members": True, "include_redundant_members": True},
            "timeline": {
                "limit": limit,
                "lazy_load_members": True,
                "include_redundant_members": True,
            },
        },
    }
    return quote(orjson.dumps(wanted), safe="")
