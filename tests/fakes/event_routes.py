"""Sending events and reading them back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.fakes.context import Context
from tests.fakes.pages import page, render
from tests.fakes.room import FakeRoom, Refusal, not_found

_LARGEST_EVENT_BYTES = 65_536
_EVENT_FRAME_BYTES = 900  # hashes, signatures, auth and previous events: what a body cannot use


def send(at: Context) -> object:
    _, kind, txn = at.args
    return _once(at, txn, lambda room: room.send(at.me, kind, _content(at), by=at.login, txn=txn))


def redact(at: Context) -> object:
    _, target, txn = at.args
    reason = at.body.get("reason")
    return _once(at, txn, lambda room: room.redact(at.me, target, reason, by=at.login, txn=txn))


def _once(at: Context, txn: str, make: Callable[[FakeRoom], str]) -> object:
    """The event of a transaction id, made at its first use."""
    scope = (
        (at.login.device_id, at.args[0])
        if at.profile.txn_scope == "device-room"
        else (at.me, at.login.device_id)
    )
    key = (*scope, txn)
    if key not in at.world.transactions:
        at.world.transactions[key] = make(at.room())
    return {"event_id": at.world.transactions[key]}


def set_state(at: Context) -> object:
    kind, key = at.args[1], at.args[2] if len(at.args) > 2 else ""
    return {"event_id": at.room().set_state(kind, _content(at), key, at.me)}


def _content(at: Context) -> dict[str, Any]:
    """The event content in a request.

    Raises:
        Refusal: it is too large or holds what canonical JSON forbids.
    """
    if _has_float(at.body):
        raise Refusal(400, "M_BAD_JSON", "Bad JSON value: float")
    size = len(json.dumps(at.body, ensure_ascii=False, separators=(",", ":")).encode())
    if size + _EVENT_FRAME_BYTES > _LARGEST_EVENT_BYTES:
        raise Refusal(413, "M_TOO_LARGE", "event too large")
    return at.body


def _has_float(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_float(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_float(inner) for inner in value)
    return isinstance(value, float)


def messages(at: Context) -> object:
    room, until = at.seen_room()
    return page(room, at.profile, at.login, until, at.call.query)


def state(at: Context) -> object:
    room, until = at.seen_room()
    entries = room.state_at(until).values()
    return [render(entry, at.login, at.profile) for entry in entries]


def state_event(at: Context) -> object:
    room, until = at.seen_room()
    key = (at.args[1], at.args[2] if len(at.args) > 2 else "")
    entry = room.state_at(until).get(key)
    if entry is None:
        raise not_found("Event not found.")
    return entry.content


def event(at: Context) -> object:
    room, _ = at.seen_room()
    return room.event(at.args[1])


def members(at: Context) -> object:
    room, until = at.seen_room()
    entries = room.state_at(until).values()
    chunk = [entry.event for entry in entries if entry.get("type") == "m.room.member"]
    wanted = at.call.query.get("membership")
    return {"chunk": [m for m in chunk if wanted in (None, m["content"].get("membership"))]}


def joined_members(at: Context) -> object:
    room = at.room()
    joined = {
        str(entry.get("state_key")): {"display_name": entry.content.get("displayname")}
        for entry in room.state.values()
        if entry.get("type") == "m.room.member" and entry.content.get("membership") == "join"
    }
    return {"joined": joined}


def receipt(at: Context) -> object:
    at.room().receipt(at.me, at.args[1], at.args[2])
    return {}


def read_markers(at: Context) -> object:
    for kind in ("m.read", "m.read.private"):
        if kind in at.body:
            at.room().receipt(at.me, kind, str(at.body[kind]))
    return {}


def typing(_at: Context) -> object:
    return {}
