"""One request on its way through the scripted homeserver's table of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.calls import Call
from tests.fakes.profiles import Profile
from tests.fakes.room import FakeRoom, Refusal, forbidden
from tests.fakes.world import Login, World


@dataclass(frozen=True)
class Context:
    """One request on its way through the table.

    Attributes:
        login: whose token it carries.
        args: the path's variable parts, decoded.
        poll: waits for something to happen, at most so many seconds.
    """

    world: World
    profile: Profile
    call: Call
    args: tuple[str, ...]
    poll: Callable[[float], Awaitable[None]]
    well_known: object
    _login: Login | None

    @property
    def login(self) -> Login:
        assert self._login is not None, "the table demands a token for this endpoint"
        return self._login

    @property
    def me(self) -> str:
        return self.login.user_id

    @property
    def body(self) -> dict[str, Any]:
        """The request's JSON object.

        Raises:
            Refusal: it is none.
        """
        if isinstance(self.call.body, dict):
            return self.call.body
        if self.call.body is None or isinstance(self.call.body, bytes):
            raise Refusal(400, "M_NOT_JSON", "Content not JSON.")
        raise Refusal(400, "M_BAD_JSON", "Content must be a JSON object.")

    def room(self) -> FakeRoom:
        """The room of the path, of which the sender is a member.

        Raises:
            Refusal: there is none, or the sender is not in it.
        """
        room = self.world.room(self.args[0])
        if room.membership(self.me) != "join":
            raise forbidden(f"User {self.me} not in room {room.room_id}")
        return room

    def seen_room(self) -> tuple[FakeRoom, int]:
        """The room of the path and the last position the sender may see in it."""
        room = self.world.room(self.args[0])
        entry = room.member_entry(self.me)
        if room.membership(self.me) == "join":
            return room, self.world.position
        if entry is None or room.membership(self.me, entry.position - 1) != "join":
            raise forbidden(f"User {self.me} not in room {room.room_id}")
        return room, entry.position


def demand_live(of: Login, profile: Profile) -> None:
    if of.state != "live":
        soft = profile.has_soft_logout and of.state == "expired"
        error = "Access token has expired" if soft else "Invalid access token passed."
        raise Refusal(401, "M_UNKNOWN_TOKEN", error, soft_logout=soft)
