"""Where receiving stands in a room, as the journal keeps it for us; and marks of attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

ANCHORS = 8
"""How many of the newest events are remembered, to know where a gap ends."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a room's history.

    Attributes:
        since: the token for the next `/sync`.
        room_id: the room it was taken in (an alias may lead elsewhere later).
        anchors: ids of the newest events seen there, oldest first.
    """

    since: str
    room_id: str
    anchors: tuple[str, ...] = ()

    def moved(self, since: str, seen: Sequence[str]) -> Position:
        """The place after these events."""
        anchors = (*self.anchors, *seen[-ANCHORS:])[-ANCHORS:]
        return Position(since, self.room_id, anchors)

    def encode(self) -> str:
        """What the journal keeps."""
        value = {"since": self.since, "room_id": self.room_id, "anchors": self.anchors}
        return orjson.dumps(value).decode()

    @classmethod
    def decode(cls, encoded: str) -> Position:
        """What the journal kept."""
        value = orjson.loads(encoded)
        return cls(value["since"], value["room_id"], tuple(value["anchors"]))


@dataclass(frozen=True, slots=True)
class Mark:
    """The moment before an attempt to send.

    Attributes:
        device_id: whose transaction ids the server remembers; None if it does not say.
        at: Unix time in seconds; the server forgets transaction ids after a day of its own clock.
        since: the receiver's place then; what the attempt made comes after it.
        anchors: likewise.
    """

    device_id: str | None
    at: float
    since: str | None
    anchors: tuple[str, ...] = ()

    def encode(self) -> str:
        """What the journal keeps."""
        value = {"device": self.device_id, "at": self.at, "since": self.since}
        return orjson.dumps(value | {"anchors": self.anchors}).decode()

    @classmethod
    def decode(cls, encoded: str) -> Mark:
        """What the journal kept."""
        value = orjson.loads(encoded)
        return cls(value["device"], value["at"], value["since"], tuple(value["anchors"]))
