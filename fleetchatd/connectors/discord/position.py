"""Where receiving stands in the channel and its threads; and marks of attempts.

Each has a watermark: what has a greater id there is new. Ids grow with time ("Snowflakes").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

MARKS = 64
"""So many watermarks are kept; where all is known, one for everything takes their place."""

SKEW_S = 10.0
"""By how much the clocks that Discord makes ids with may differ, in seconds."""

SLACK_S = 3600.0
"""By how much our clock and Discord's may differ where nothing else tells a time, in seconds."""

_EPOCH_MS = 1_420_070_400_000
_LATEST = 2**64 - 1


@dataclass(slots=True)
class Position:
    """What is known of the channel's past.

    Attributes:
        floor: everything up to this id is known, or was said before our first contact.
        marks: of the channel and those threads where more than that is known.
        swept: threads archived up to this time (as Discord writes it) were read to their end.
    """

    floor: int
    marks: dict[str, int] = field(default_factory=dict)
    swept: str = ""

    def mark(self, place_id: str) -> int:
        """The watermark of the channel or a thread."""
        return max(self.floor, self.marks.get(place_id, 0))

    def move(self, place_id: str, message_id: int) -> None:
        """What was said in a place is known up to this message."""
        if message_id > self.mark(place_id):
            self.marks[place_id] = message_id

    def settle(self, floor: int) -> None:
        """Everything up to `floor` is known everywhere: that may stand for many watermarks."""
        if len(self.marks) > MARKS:
            self.floor = max(self.floor, floor)
            self.marks = {key: mark for key, mark in self.marks.items() if mark > self.floor}

    @property
    def newest(self) -> int:
        """The greatest id that is known."""
        return max(self.floor, *self.marks.values(), 0)

    def encode(self) -> str:
        """What the journal keeps."""
        return orjson.dumps(self).decode()

    @classmethod
    def decode(cls, encoded: str) -> Position:
        """What the journal kept."""
        value = orjson.loads(encoded)
        return cls(value["floor"], dict(value["marks"]), value["swept"])


@dataclass(frozen=True, slots=True)
class Mark:
    """The moment before an attempt to send.

    Attributes:
        me: the bot's id; None before it is known.
        at: Unix time in seconds; Discord remembers nonces for some minutes.
        newest: the greatest id known then; what the attempt made has a greater one.
    """

    me: str | None
    at: float
    newest: int

    def encode(self) -> str:
        """What the journal keeps."""
        return orjson.dumps(self).decode()

    @classmethod
    def decode(cls, encoded: str) -> Mark:
        """What the journal kept."""
        value = orjson.loads(encoded)
        return cls(value["me"], value["at"], value["newest"])

    def begin(self) -> int:
        """An id that is surely smaller than what the attempt made."""
        if self.newest:
            return max(0, self.newest - id_span(SKEW_S))
        return id_at(self.at - SLACK_S)


def id_span(seconds: float) -> int:
    """By how much ids grow in that time."""
    return int(seconds * 1000) << 22


def id_at(unix_s: float) -> int:
    """The smallest id that a thing of that time can have."""
    return min(max(0, int(unix_s * 1000) - _EPOCH_MS) << 22, _LATEST)


def greatest(ids: Iterable[str | None]) -> int:
    """The greatest of some ids; 0 without any."""
    return max((int(one) for one in ids if one is not None), default=0)
