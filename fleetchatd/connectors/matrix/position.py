"""Where receiving stands in a room, as the journal keeps it for us; and marks of attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

ANCHORS = 8
"""How many of the newest events are remembered, to know where a gap ends."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a room's history.

    Attributes:
        since: the token for the next `/sync`; None once the homeserver knows it no more.
        room_id: the room it was taken in (an alias may lead elsewhere later).
        anchors: ids of the newest events seen there, oldest first.
        rules: `Room.rules` as they were there: what comes next is judged by them, although others
            may be in force by now.
        inside: whether we were in the room. Outside, `since` moves on past what is said there, and
            the anchors alone tell where a gap begins.
    """

    since: str | None
    room_id: str
    anchors: tuple[str, ...] = ()
    rules: tuple[str, str] | None = None
    inside: bool = True

    @property
    def gap_reaches_to(self) -> str | None:
        """The token that a gap after this place reaches back to; None: the anchors alone tell."""
        return self.since if self.inside else None

    def after(self, seen: Sequence[str]) -> Position:
        """The place after these events."""
        return replace(self, anchors=(*self.anchors, *seen[-ANCHORS:])[-ANCHORS:])

    def encode(self) -> str:
        """What the journal keeps."""
        return orjson.dumps(self).decode()

    @classmethod
    def decode(cls, encoded: str) -> Position:
        """What the journal kept."""
        value = orjson.loads(encoded)
        rules = value.get("rules")
        return cls(
            value["since"],
            value["room_id"],
            tuple(value["anchors"]),
            None if rules is None else (rules[0], rules[1]),
            value.get("inside", True),
        )


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
