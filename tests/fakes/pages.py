"""What `GET /rooms/{roomId}/messages` says of a room, and how an event looks to whom. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.filters import DEFAULT_LIMIT, EventFilter
from tests.fakes.profiles import Profile
from tests.fakes.room import Entry, FakeRoom, Refusal
from tests.fakes.world import Login


def page(
    room: FakeRoom, profile: Profile, login: Login, until: int, query: Mapping[str, str]
) -> dict[str, Any]:
    """One page of `/messages`, which never goes beyond the position `until`.

    `end` is left out of an empty page only, as by Synapse 1.163 and the Conduit family.
    """
    backwards = query.get("dir") == "b"
    start = _page_position(profile, query.get("from"), until if backwards else 0)
    limit = min(int(query.get("limit", DEFAULT_LIMIT)), profile.longest_page)
    if profile.exact_to:
        entries = _exactly(room, profile, start, query, backwards=backwards, until=until)
    else:
        stop = _page_position(profile, query.get("to"), 0 if backwards else until)
        low, high = (stop, start) if backwards else (start, stop)
        entries = room.between(low, min(high, until))[:: -1 if backwards else 1]
    chosen = EventFilter.parse(_json(query.get("filter"))).pick(entries)[:limit]
    answer: dict[str, Any] = {
        "chunk": [render(entry, login, profile) for entry in chosen],
        "start": query.get("from") or profile.token(start),
    }
    if chosen:
        last = chosen[-1].position
        answer["end"] = profile.token(last - 1 if backwards and not profile.exact_to else last)
    return answer


def _exactly(
    room: FakeRoom,
    profile: Profile,
    start: int,
    query: Mapping[str, str],
    *,
    backwards: bool,
    until: int,
) -> list[Entry]:
    """Conduit's walk: `from` itself is left out, and only an event exactly at `to` stops it."""
    to = profile.position(query.get("to", ""))
    if backwards:
        first = start - 1 if "from" in query else until
        walk = room.between(0, min(first, until))[::-1]
    else:
        walk = room.between(start, until)
    stops = [index for index, entry in enumerate(walk) if entry.position == to]
    return walk[: stops[0]] if stops else walk


def _page_position(profile: Profile, token: str | None, default: int) -> int:
    if token is None:
        return default
    position = profile.position(token)
    if position is None:
        raise Refusal(400, "M_UNKNOWN", "'from' parameter is invalid")
    return position


def render(entry: Entry, login: Login, profile: Profile, *, in_sync: bool = False) -> Any:
    """An event as `login` gets it: without its room in `/sync`, own ones with the transaction."""
    if not isinstance(entry.event, dict):
        return entry.event
    event = dict(entry.event)
    if in_sync:
        event.pop("room_id", None)
    own = entry.by is not None and (
        entry.by.user_id == login.user_id
        and (profile.echo_scope == "user" or entry.by.device_id == login.device_id)
    )
    if own and entry.txn is not None and isinstance(event.get("unsigned", {}), dict):
        event["unsigned"] = event.get("unsigned", {}) | {"transaction_id": entry.txn}
    return event


def _json(text: str | None) -> object:
    return json.loads(text) if text else None
