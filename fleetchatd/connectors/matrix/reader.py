"""The room's timeline, event by event: what it says, who may say it, what was ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from fleetchatd.connectors.matrix.events import KIND, own_transaction, parse_event, time_of
from fleetchatd.connectors.matrix.room import Room
from fleetchatd.connectors.untrusted import mapping_of, text_of
from fleetchatd.model import EditEvent, Event, GapEvent, MessageEvent, ReactionEvent, RedactionEvent

THREADS = 256
"""Threads whose newest event is remembered, for the fallback of what is sent there."""

_AWAY = "what was said while we were not in the room is hidden from us (history visibility)"

log = structlog.get_logger("fleetchatd.connector")


@dataclass(slots=True)
class Own:
    """One of our own messages, seen in the room."""

    event_id: str
    transaction_id: str | None
    thread_id: str | None


@dataclass(slots=True)
class Read:
    """What a stretch of the timeline came to."""

    events: list[Event] = field(default_factory=list)
    confirmations: list[tuple[str, str]] = field(default_factory=list)


class Reader:
    """Reads timelines of one room, oldest event first.

    Args:
        room: learns from what is read.
        allowed_senders: who may speak; None: the members of a closed room.
        counts: gets `refused_senders`.
    """

    def __init__(self, room: Room, allowed_senders: Set[str] | None, counts: Counter[str]) -> None:
        self.room = room
        self._allowed = allowed_senders
        self._counts = counts
        self._latest: dict[str, str] = {}

    def digest(self, raw_events: Iterable[Any], members: Sequence[Any] = ()) -> Iterator[Any]:
        """What must be held of raw events to read them later: much less than they are.

        Args:
            raw_events: oldest first.
            members: member events of those who speak in them.
        """
        for member in members:
            if mapping_of(member).get("state_key") != self.room.me:
                self.room.apply(member)
        for raw in raw_events:
            if isinstance(raw, dict) and (item := self._digest(raw)) is not None:
                yield item

    def _digest(self, raw: dict[str, Any]) -> Any:
        if "state_key" in raw:
            return raw
        # What our account takes back was perhaps said by others: that is told like any redaction.
        if raw.get("sender") == self.room.me and raw.get("type") != "m.room.redaction":
            relation = mapping_of(mapping_of(raw.get("content")).get("m.relates_to"))
            threaded = relation.get("rel_type") == "m.thread"
            thread_id = text_of(relation.get("event_id")) if threaded else None
            return Own(text_of(raw.get("event_id")), own_transaction(raw), thread_id)
        return parse_event(raw, self.room.names)

    def read(self, items: Iterable[Any]) -> Read:
        """What digested events say, judged by the room as it was at each of them."""
        read = Read()
        for item in items:
            if isinstance(item, dict):
                self._state(item, read)
            elif isinstance(item, Own):
                self._own(item, read)
            else:
                self._other(item, read)
        return read

    def _state(self, raw: dict[str, Any], read: Read) -> None:
        """Learn from a state event; coming back into a room that hides its past leaves a gap."""
        outside = self.room.membership not in (None, "join")
        self.room.apply(raw)
        if outside and self.room.membership == "join" and self.room.hides_the_past:
            time = time_of(raw.get("origin_server_ts"))
            read.events.append(GapEvent(time=time, connector=KIND, detail=_AWAY))

    def _own(self, own: Own, read: Read) -> None:
        if own.transaction_id is not None and own.event_id:
            read.confirmations.append((own.transaction_id, own.event_id))
        self.note_latest(own.thread_id, own.event_id)

    def _other(
        self, event: MessageEvent | EditEvent | ReactionEvent | RedactionEvent, read: Read
    ) -> None:
        if event.sender is not None and self.room.may_speak(event.sender, self._allowed):
            read.events.append(event)
        elif isinstance(event, RedactionEvent):
            read.events.append(replace(event, welcome=False))
        else:
            self._counts["refused_senders"] += 1
            log.info("an event was refused: its sender may not speak", sender=event.sender)
        if isinstance(event, MessageEvent):
            self.note_latest(event.thread_id, event.id)

    def note_latest(self, thread_id: str | None, event_id: str) -> None:
        """The newest event of a thread is this one."""
        if thread_id is None:
            return
        self._latest.pop(thread_id, None)
        self._latest[thread_id] = event_id
        if len(self._latest) > THREADS:
            del self._latest[next(iter(self._latest))]

    def latest(self, thread_id: str | None) -> str | None:
        """The newest event known of a thread."""
        return None if thread_id is None else self._latest.get(thread_id)
