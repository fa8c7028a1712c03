"""How model values stand in the tables: pure conversions."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import orjson

from fleetchatd.model import (
    EVENT_CLASSES,
    EVENT_TYPES,
    Draft,
    EditEvent,
    Event,
    Filter,
    Message,
    MessageEvent,
    State,
    rfc3339,
)

STATES: tuple[State, ...] = (
    State.QUEUED,
    State.SENDING,
    State.DELIVERED,
    State.FAILED,
    State.UNKNOWN,
)
NUMBER_OF_STATE = {state: number for number, state in enumerate(STATES)}

# kind: one number for type and class, so that one index serves every filter
MESSAGE_KINDS = {name: number for number, name in enumerate(EVENT_CLASSES)}
TYPE_KINDS = {name: 10 + number for number, name in enumerate(EVENT_TYPES) if name != "message"}

MESSAGE_COLUMNS = (
    "ord, id, accepted, thread_id, reply_to, plain, notice, expires_s, expires_at, state, "
    "attempts, attempt, error, remote_ids, text, parts, "
    "(SELECT name FROM targets WHERE targets.id = messages.target)"
)


def hash_id(target: str, event_id: str) -> int:
    """A signed 64-bit hash of an id within its place; compare the id itself on a hit."""
    digest = _begun(target).copy()
    digest.update(event_id.encode(errors="replace"))
    return int.from_bytes(digest.digest(), "big", signed=True)


@functools.lru_cache(maxsize=16)
def _begun(target: str) -> hashlib.blake2b:
    """The hash of everything in a place, as far as it is the same."""
    return hashlib.blake2b(f"{target}\n".encode(errors="replace"), digest_size=8)


def digest_of(draft: Draft) -> bytes:
    """What tells whether two requests under one Idempotency-Key ask for the same."""
    fields = [
        draft.text,
        draft.thread_id,
        draft.reply_to,
        draft.format,
        draft.notice,
        draft.expires_s,
    ]
    return hashlib.blake2b(orjson.dumps(fields), digest_size=16).digest()


def message_of(row: Sequence[Any]) -> Message:
    """A `Message` from a row of `MESSAGE_COLUMNS`."""
    (order, message_id, accepted, thread_id, reply_to, plain, notice) = row[:7]
    (expires_s, expires_at, state, attempts, attempt, error, remote_ids) = row[7:14]
    (text, parts, target) = row[14:]
    return Message(
        id=message_id,
        order=order,
        time=rfc3339(accepted),
        draft=Draft(
            text, thread_id, reply_to, "plain" if plain else "markdown", bool(notice), expires_s
        ),
        target=target,
        parts=tuple(orjson.loads(parts)) if parts else (text,),
        state=STATES[state],
        error=error,
        remote_ids=tuple(orjson.loads(remote_ids)) if remote_ids else (),
        attempt=attempt,
        attempts=attempts,
        expires_at=expires_at,
    )


def kind_of(event: Event) -> int:
    """The number that `kinds_of` selects by."""
    if isinstance(event, MessageEvent):
        return MESSAGE_KINDS[event.event_class]
    return TYPE_KINDS[event.type]


@functools.lru_cache(maxsize=256)
def kinds_of(wanted: Filter) -> frozenset[int] | None:
    """The kinds that pass a filter; None when all do."""
    if wanted.types is None and wanted.classes is None:
        return None
    kinds = {
        kind for name, kind in TYPE_KINDS.items() if wanted.types is None or name in wanted.types
    }
    if wanted.types is None or "message" in wanted.types:
        kinds |= {
            kind
            for name, kind in MESSAGE_KINDS.items()
            if wanted.classes is None or name in wanted.classes
        }
    return frozenset(kinds)


def line_of(seq: int, body: bytes) -> bytes:
    """The NDJSON line of an event: its stored body with `seq` put in front."""
    return b'{"seq":%d,%b\n' % (seq, body[1:])


def event_row(event: Event, target: str, received: float) -> tuple[Any, ...]:
    """(kind, received, source, about, thread, body) of the table `events`."""
    source = about = thread = None
    if event.id is not None and event.type != "delivery":
        source = hash_id(target, event.id)
    if isinstance(event, EditEvent):
        about = hash_id(target, event.target)
    if isinstance(event, MessageEvent) and event.thread_id is not None:
        thread = hash_id("", event.thread_id)
    return kind_of(event), received, source, about, thread, encoded(event.to_json())


def encoded(value: object) -> bytes:
    """A value as JSON; half a surrogate pair, which no UTF-8 can hold, as U+FFFD.

    A connector should let none through, but one that does must not keep all behind it out.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        text = json.dumps(value, ensure_ascii=False)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def history_item(body: bytes) -> dict[str, object]:
    """An inbound message as the history shows it (contract §3)."""
    event = orjson.loads(body)
    item: dict[str, object] = {
        name: event[name] for name in ("id", "time", "sender", "text", "thread_id", "reply_to")
    }
    return item | {"direction": "in", "state": None, "remote_id": None, "error": None}
