"""The endpoints of the scripted homeserver: one table, each row a function of a request.

Client-server specification v1.15; the order is its order.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.fakes import event_routes as events
from tests.fakes import login_routes as logins
from tests.fakes import room_routes as rooms
from tests.fakes import sync_routes as sync
from tests.fakes.calls import Call
from tests.fakes.context import Context, demand_live
from tests.fakes.profiles import Profile
from tests.fakes.room import Refusal
from tests.fakes.world import Login, World


@dataclass(frozen=True)
class Route:
    """A row of the table; `*` in a pattern is one variable segment."""

    method: str
    pattern: str
    handler: Callable[[Context], object]
    needs_token: bool = True

    def match(self, method: str, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """The variable segments of a path that fits, else None."""
        shape = self.pattern.split("/")
        if method != self.method or len(shape) != len(parts):
            return None
        pairs = list(zip(shape, parts, strict=True))
        if any(want not in ("*", have) for want, have in pairs):
            return None
        return tuple(have for want, have in pairs if want == "*")


async def answer(
    world: World,
    profile: Profile,
    call: Call,
    poll: Callable[[float], Awaitable[None]],
    well_known: object,
) -> object:
    """Handle a request as an honest server would; return the answer's JSON.

    Raises:
        Refusal: the server refuses it.
    """
    for route in TABLE:
        args = route.match(call.method, call.parts)
        if args is not None:
            login = _login_of(world, profile, call) if route.needs_token else None
            at = Context(world, profile, call, args, poll, well_known, login)
            result = route.handler(at)
            return await result if inspect.isawaitable(result) else result
    raise Refusal(404, "M_UNRECOGNIZED", "Unrecognized request")


def _login_of(world: World, profile: Profile, call: Call) -> Login:
    if call.token is None:
        raise Refusal(401, "M_MISSING_TOKEN", "Missing access token")
    for login in world.logins:
        if login.account.access_token == call.token:
            demand_live(login, profile)
            return login
    raise Refusal(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.", soft_logout=False)


_V3 = "_matrix/client/v3"
TABLE = (
    Route("GET", "_matrix/client/versions", logins.versions, needs_token=False),
    Route("GET", ".well-known/matrix/client", logins.well_known, needs_token=False),
    Route("GET", f"{_V3}/login", logins.login_flows, needs_token=False),
    Route("POST", f"{_V3}/login", logins.login, needs_token=False),
    Route("POST", f"{_V3}/refresh", logins.refresh, needs_token=False),
    Route("POST", f"{_V3}/logout", logins.logout),
    Route("GET", f"{_V3}/account/whoami", logins.whoami),
    Route("POST", f"{_V3}/user/*/filter", sync.make_filter),
    Route("GET", f"{_V3}/user/*/filter/*", sync.get_filter),
    Route("GET", f"{_V3}/sync", sync.sync),
    Route("PUT", f"{_V3}/rooms/*/send/*/*", events.send),
    Route("PUT", f"{_V3}/rooms/*/redact/*/*", events.redact),
    Route("PUT", f"{_V3}/rooms/*/state/*", events.set_state),
    Route("PUT", f"{_V3}/rooms/*/state/*/*", events.set_state),
    Route("GET", f"{_V3}/rooms/*/messages", events.messages),
    Route("GET", f"{_V3}/rooms/*/state", events.state),
    Route("GET", f"{_V3}/rooms/*/state/*", events.state_event),
    Route("GET", f"{_V3}/rooms/*/state/*/*", events.state_event),
    Route("GET", f"{_V3}/rooms/*/event/*", events.event),
    Route("GET", f"{_V3}/rooms/*/members", events.members),
    Route("GET", f"{_V3}/rooms/*/joined_members", events.joined_members),
    Route("POST", f"{_V3}/rooms/*/receipt/*/*", events.receipt),
    Route("POST", f"{_V3}/rooms/*/read_markers", events.read_markers),
    Route("PUT", f"{_V3}/rooms/*/typing/*", events.typing),
    Route("POST", f"{_V3}/createRoom", rooms.create_room),
    Route("GET", f"{_V3}/directory/room/*", rooms.alias),
    Route("GET", f"{_V3}/joined_rooms", rooms.joined_rooms),
    Route("POST", f"{_V3}/join/*", rooms.join),
    Route("POST", f"{_V3}/rooms/*/join", rooms.join),
    Route("POST", f"{_V3}/rooms/*/leave", rooms.leave),
    Route("POST", f"{_V3}/rooms/*/invite", rooms.change_member("invite")),
    Route("POST", f"{_V3}/rooms/*/kick", rooms.change_member("leave")),
    Route("POST", f"{_V3}/rooms/*/ban", rooms.change_member("ban")),
    Route("POST", f"{_V3}/rooms/*/unban", rooms.change_member("leave")),
    Route("PUT", f"{_V3}/profile/*/displayname", rooms.display_name),
)
