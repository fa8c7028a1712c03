"""What the gateway told and is not worked off yet, in the order in which it was told."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fleetchatd.connectors.discord.raw import id_of

HELD = 10_000
"""So many dispatches stand in line; beyond that the history tells what they said."""

TOGETHER = 100
"""So many dispatches are journalled at once."""

OVERFLOW = "OVERFLOW"  # no dispatch of Discord's: more came than could be held
CATCHING_UP = frozenset({"READY", "RESUMED", OVERFLOW})
CHANNEL_RULES = frozenset({"CHANNEL_UPDATE", "CHANNEL_CREATE", "CHANNEL_DELETE"})
GUILD_RULES = frozenset(
    {"GUILD_UPDATE", "GUILD_DELETE", "GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE", "GUILD_ROLE_DELETE"}
)
THREADS = frozenset({"THREAD_CREATE", "THREAD_UPDATE", "THREAD_DELETE", "THREAD_LIST_SYNC"})
SAID = frozenset(
    {
        "MESSAGE_CREATE",
        "MESSAGE_UPDATE",
        "MESSAGE_DELETE",
        "MESSAGE_DELETE_BULK",
        "MESSAGE_REACTION_ADD",
    }
)


class Dispatch(NamedTuple):
    """What the gateway told ("Gateway Events")."""

    name: str
    data: Mapping[Any, Any]
    session_id: str
    seq: int


class Line:
    """Dispatches waiting for their turn.

    Attributes:
        taken: session and number of the last one that was worked off.
    """

    def __init__(self) -> None:
        self.taken = ("", 0)
        self._waiting: deque[Dispatch] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def first(self) -> Dispatch:
        """Whose turn it is."""
        return self._waiting[0]

    def join(self, dispatch: Dispatch) -> None:
        """Put one at the end; where there is no room, the history tells what all of them said."""
        if dispatch.name == "READY":
            self.taken = (dispatch.session_id, dispatch.seq)
        if len(self._waiting) >= HELD:
            self._waiting.clear()
            dispatch = dispatch._replace(name=OVERFLOW)
        self._waiting.append(dispatch)

    def said_first(self) -> Sequence[Dispatch]:
        """The messages, and what is told of messages, that stand first."""
        said = itertools.takewhile(lambda dispatch: dispatch.name in SAID, self._waiting)
        return list(itertools.islice(said, TOGETHER))

    def leave(self, *done: Dispatch) -> None:
        """These are worked off. They have left already if the line was cleared meanwhile."""
        for dispatch in done:
            if self._waiting and self._waiting[0] is dispatch:
                self._waiting.popleft()
            if dispatch.session_id == self.taken[0]:
                self.taken = (dispatch.session_id, dispatch.seq)

    def clear(self) -> None:
        """Whoever receives begins anew."""
        self._waiting.clear()

    def newest_said(self) -> Mapping[str, int]:
        """The newest message that waits here, by the place where it was said."""
        found: dict[str, int] = {}
        for _, data, *_ in (one for one in self._waiting if one.name == "MESSAGE_CREATE"):
            place_id, message_id = id_of(data.get("channel_id")), id_of(data.get("id"))
            if place_id is not None and message_id is not None:
                found[place_id] = max(found.get(place_id, 0), int(message_id))
        return found


def concerns(
    dispatch: Dispatch,
    *,
    channel_id: str,
    guild_id: str | None,
    me: str | None,
    elsewhere: Callable[[object], bool],
) -> bool:
    """Whether a dispatch may say something of our channel.

    Args:
        dispatch: what was told.
        channel_id: our channel.
        guild_id: its guild, once that is known.
        me: our own id.
        elsewhere: whether a place is known not to be ours.
    """
    name, data = dispatch.name, dispatch.data
    if name in SAID:
        place_id = data.get("channel_id")
        in_guild = guild_id is None or data.get("guild_id") == guild_id
        return place_id == channel_id or (in_guild and not elsewhere(place_id))
    if name in CHANNEL_RULES:
        return data.get("id") == channel_id
    if name in GUILD_RULES or name == "GUILD_CREATE":
        return guild_id is None or guild_id in (data.get("id"), data.get("guild_id"))
    if name == "GUILD_MEMBER_UPDATE":
        user = data.get("user")
        return isinstance(user, dict) and user.get("id") == me
    return name in THREADS or name in CATCHING_UP
