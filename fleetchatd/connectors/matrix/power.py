"""Who may send messages in a room: pure ("m.room.power_levels", room version 12)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fleetchatd.connectors.untrusted import list_of, mapping_of, text_of

_MESSAGE = "m.room.message"
_CREATOR_BEFORE_LEVELS = 100
_CREATORS_STAND_ABOVE = 12
"""The first room version in which creators have infinite power, and no place in the levels."""

_NUMBER = re.compile(r"\s*([+-]?[0-9]{1,18})\s*")


@dataclass(frozen=True, slots=True)
class Power:
    """What one has, and what a message takes.

    Attributes:
        has: infinite for the creators of newer rooms.
        takes: the level from which on one may send `m.room.message`.
    """

    has: float
    takes: int

    @property
    def suffices(self) -> bool:
        """Whether one may send messages."""
        return self.has >= self.takes


def power_in(state: Iterable[object], user: str) -> Power:
    """The power of `user` in a room, from its present state events, whatever they hold."""
    create: Mapping[Any, Any] = {}
    levels: Mapping[Any, Any] | None = None
    for raw in map(mapping_of, state):
        if raw.get("state_key") != "":
            continue
        if raw.get("type") == "m.room.create":
            create = raw
        elif raw.get("type") == "m.room.power_levels":
            levels = mapping_of(raw.get("content"))
    return _power(create, levels, user)


def _power(create: Mapping[Any, Any], levels: Mapping[Any, Any] | None, user: str) -> Power:
    made = mapping_of(create.get("content"))
    above = _version(made) >= _CREATORS_STAND_ABOVE
    creators = [create.get("sender"), *(list_of(made.get("additional_creators")) if above else ())]
    if levels is None:
        return Power(_of_creator(above) if user in creators else 0, 0)
    takes = _level(
        mapping_of(levels.get("events")).get(_MESSAGE), _level(levels.get("events_default"), 0)
    )
    if above and user in creators:
        return Power(math.inf, takes)
    default = _level(levels.get("users_default"), 0)
    return Power(_level(mapping_of(levels.get("users")).get(user), default), takes)


def _of_creator(above: bool) -> float:
    return math.inf if above else _CREATOR_BEFORE_LEVELS


def _version(made: Mapping[Any, Any]) -> int:
    """The room's version; 1 if it has none, as the first rooms had, or a name that is no number."""
    return _level(made.get("room_version"), 1)


def _level(value: object, default: int) -> int:
    """A level; rooms before version 10 may have it as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _NUMBER.fullmatch(text_of(value))
    return int(number[1]) if number else default
