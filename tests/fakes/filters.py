"""Filters, as far as the scripted homeserver knows them.

Client-server specification, "Filtering".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tests.fakes.room import Entry, FakeRoom

DEFAULT_LIMIT = 10


@dataclass(frozen=True)
class EventFilter:
    """A room event filter, as far as this server knows it."""

    types: Sequence[str] | None = None
    not_types: Sequence[str] = ()
    senders: Sequence[str] | None = None
    not_senders: Sequence[str] = ()
    limit: int = DEFAULT_LIMIT
    lazy_load_members: bool = False

    @classmethod
    def parse(cls, raw: object) -> EventFilter:
        known = cls.__dataclass_fields__
        given = raw if isinstance(raw, Mapping) else {}
        return cls(**{key: value for key, value in given.items() if key in known})

    def lets(self, kind: object, sender: object = "") -> bool:
        return (
            _in(kind, self.types, default=True)
            and not _in(kind, self.not_types, default=False)
            and (self.senders is None or sender in self.senders)
            and sender not in self.not_senders
        )

    def pick(self, entries: Iterable[Entry]) -> list[Entry]:
        return [entry for entry in entries if self.lets(entry.get("type"), entry.get("sender"))]


@dataclass(frozen=True)
class SyncFilter:
    """The `room` part of a sync filter."""

    rooms: Sequence[str] | None = None
    not_rooms: Sequence[str] = ()
    timeline: EventFilter = field(default_factory=EventFilter)
    state: EventFilter = field(default_factory=EventFilter)
    ephemeral: EventFilter = field(default_factory=EventFilter)

    @classmethod
    def parse(cls, raw: object) -> SyncFilter:
        room = raw.get("room", {}) if isinstance(raw, Mapping) else {}
        return cls(
            rooms=room.get("rooms"),
            not_rooms=room.get("not_rooms", ()),
            timeline=EventFilter.parse(room.get("timeline")),
            state=EventFilter.parse(room.get("state")),
            ephemeral=EventFilter.parse(room.get("ephemeral")),
        )

    def wants(self, room: FakeRoom) -> bool:
        return room.room_id not in self.not_rooms and (
            self.rooms is None or room.room_id in self.rooms
        )


def _in(kind: object, patterns: Sequence[str] | None, *, default: bool) -> bool:
    if patterns is None:
        return default
    return any(fnmatchcase(str(kind), pattern) for pattern in patterns)
