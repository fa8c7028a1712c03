"""The endpoints of the scripted homeserver: one table, each row a function of a request.

Client-server specification v1.15; the order is its order.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from tests.fakes import sync_answer
from tests.fakes.calls import Call
from tests.fakes.profiles import Profile
from tests.fakes.sync_answer import SyncFilter
from tests.fakes.world import SERVER_NAME, FakeRoom, Login, Refusal, World, forbidden, not_found

_LARGEST_EVENT_BYTES = 65_536
_EVENT_FRAME_BYTES = 900  # hashes, signatures, auth and previous events: what a body cannot use


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


# Servers and logins


def versions(at: Context) -> object:
    return {"versions": list(at.profile.versions)}


def well_known(at: Context) -> object:
    if at.well_known is None:
        raise not_found("No .well-known here")
    return at.well_known


def login_flows(_at: Context) -> object:
    return {"flows": [{"type": "m.login.password"}]}


def login(at: Context) -> object:
    name = str((at.body.get("identifier") or {}).get("user", ""))
    user_id = name if name.startswith("@") else f"@{name}:{SERVER_NAME}"
    if at.world.passwords.get(user_id) != at.body.get("password"):
        raise forbidden("Invalid username or password")
    device = cast(str | None, at.body.get("device_id"))
    made = at.world.log_in(user_id, device, refreshable=bool(at.body.get("refresh_token")))
    return {"user_id": user_id, "device_id": made.device_id, **_tokens(made)}


def refresh(at: Context) -> object:
    given = at.body.get("refresh_token")
    for known in at.world.logins:
        if known.account.refresh_token == given and given and known.state != "gone":
            at.world.refresh(known)
            return _tokens(known)
    raise Refusal(401, "M_UNKNOWN_TOKEN", "invalid refresh token")


def _tokens(of: Login) -> dict[str, object]:
    tokens: dict[str, object] = {"access_token": of.account.access_token}
    if of.account.refresh_token is not None:
        tokens["refresh_token"] = of.account.refresh_token
        tokens["expires_in_ms"] = of.account.expires_in_ms
    return tokens


def logout(at: Context) -> object:
    at.login.state = "gone"
    return {}


def whoami(at: Context) -> object:
    return {"user_id": at.me, "device_id": at.login.device_id, "is_guest": False}


# Syncing


def make_filter(at: Context) -> object:
    at.world.filters.append(at.body)
    return {"filter_id": str(len(at.world.filters) - 1)}


def get_filter(at: Context) -> object:
    if not at.args[1].isdigit() or int(at.args[1]) >= len(at.world.filters):
        raise not_found("No such filter")
    return at.world.filters[int(at.args[1])]


async def sync(at: Context) -> object:
    since = _since(at)
    wait_s = min(int(at.call.query.get("timeout", 0)) / 1000, at.profile.longest_poll_s)
    wanted = _sync_filter(at)

    def now() -> dict[str, Any]:
        until = at.world.position
        return sync_answer.Sync(at.world, at.profile, at.login, wanted, since, until).body()

    body = now()
    if "rooms" in body or since is None:
        return body
    if at.profile.wakes_empty:
        await at.poll(wait_s)
        return body
    deadline = at.call.time + wait_s
    while "rooms" not in body and (left_s := deadline - _time()) > 0:
        await at.poll(left_s)
        _demand_live(at.login, at.profile)
        body = now()
    return body


def _since(at: Context) -> int | None:
    token = at.call.query.get("since")
    if token is None:
        return None
    position = at.profile.position(token)
    if position is not None:
        return position
    if at.profile.zero_for_bad_since:
        return 0
    raise Refusal(400, "M_UNKNOWN", "Invalid stream token")


def _sync_filter(at: Context) -> SyncFilter:
    text = at.call.query.get("filter")
    if text is None:
        return SyncFilter()
    if text.startswith("{"):
        return SyncFilter.parse(json.loads(text))
    return SyncFilter.parse(at.world.filters[int(text)])


def _time() -> float:
    return asyncio.get_running_loop().time()


def _demand_live(of: Login, profile: Profile) -> None:
    if of.state != "live":
        soft = profile.has_soft_logout and of.state == "expired"
        error = "Access token has expired" if soft else "Invalid access token passed."
        raise Refusal(401, "M_UNKNOWN_TOKEN", error, soft_logout=soft)


# Sending


def send(at: Context) -> object:
    _, kind, txn = at.args
    return _once(at, txn, lambda room: room.send(at.me, kind, _content(at), by=at.login, txn=txn))


def redact(at: Context) -> object:
    _, target, txn = at.args
    reason = at.body.get("reason")
    return _once(at, txn, lambda room: room.redact(at.me, target, reason, by=at.login, txn=txn))


def _once(at: Context, txn: str, make: Callable[[FakeRoom], str]) -> object:
    """The event of a transaction id, made at its first use."""
    scope = (
        (at.login.device_id, at.args[0])
        if at.profile.txn_scope == "device-room"
        else (at.me, at.login.device_id)
    )
    key = (*scope, txn)
    if key not in at.world.transactions:
        at.world.transactions[key] = make(at.room())
    return {"event_id": at.world.transactions[key]}


def set_state(at: Context) -> object:
    kind, key = at.args[1], at.args[2] if len(at.args) > 2 else ""
    return {"event_id": at.room().set_state(kind, _content(at), key, at.me)}


def _content(at: Context) -> dict[str, Any]:
    """The event content in a request.

    Raises:
        Refusal: it is too large or holds what canonical JSON forbids.
    """
    if _has_float(at.body):
        raise Refusal(400, "M_BAD_JSON", "Bad JSON value: float")
    size = len(json.dumps(at.body, ensure_ascii=False, separators=(",", ":")).encode())
    if size + _EVENT_FRAME_BYTES > _LARGEST_EVENT_BYTES:
        raise Refusal(413, "M_TOO_LARGE", "event too large")
    return at.body


def _has_float(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_float(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_float(inner) for inner in value)
    return isinstance(value, float)


# Reading


def messages(at: Context) -> object:
    room, until = at.seen_room()
    return sync_answer.page(room, at.profile, at.login, until, at.call.query)


def state(at: Context) -> object:
    room, until = at.seen_room()
    entries = room.state_at(until).values()
    return [sync_answer.render(entry, at.login, at.profile) for entry in entries]


def state_event(at: Context) -> object:
    room, until = at.seen_room()
    key = (at.args[1], at.args[2] if len(at.args) > 2 else "")
    entry = room.state_at(until).get(key)
    if entry is None:
        raise not_found("Event not found.")
    return entry.content


def event(at: Context) -> object:
    room, _ = at.seen_room()
    return room.event(at.args[1])


def members(at: Context) -> object:
    room, until = at.seen_room()
    entries = room.state_at(until).values()
    chunk = [entry.event for entry in entries if entry.get("type") == "m.room.member"]
    wanted = at.call.query.get("membership")
    return {"chunk": [m for m in chunk if wanted in (None, m["content"].get("membership"))]}


def joined_members(at: Context) -> object:
    room = at.room()
    joined = {
        str(entry.get("state_key")): {"display_name": entry.content.get("displayname")}
        for entry in room.state.values()
        if entry.get("type") == "m.room.member" and entry.content.get("membership") == "join"
    }
    return {"joined": joined}


def receipt(at: Context) -> object:
    at.room().receipt(at.me, at.args[1], at.args[2])
    return {}


def read_markers(at: Context) -> object:
    for kind in ("m.read", "m.read.private"):
        if kind in at.body:
            at.room().receipt(at.me, kind, str(at.body[kind]))
    return {}


def typing(_at: Context) -> object:
    return {}


# Rooms and their members


def create_room(at: Context) -> object:
    body = at.body
    alias = body.get("room_alias_name")
    public = body.get("preset") == "public_chat"
    room = at.world.add_room(
        at.me,
        invite=body.get("invite", ()),
        join_rule="public" if public else "invite",
        version=body.get("room_version", "12"),
        initial_state=body.get("initial_state", ()),
        alias=f"#{alias}:{SERVER_NAME}" if alias else None,
    )
    return {"room_id": room.room_id}


def alias(at: Context) -> object:
    room = at.world.find(at.args[0])
    return {"room_id": room.room_id, "servers": [SERVER_NAME]}


def joined_rooms(at: Context) -> object:
    return {"joined_rooms": [room.room_id for room in at.world.rooms_of(at.me, "join")]}


def join(at: Context) -> object:
    room = at.world.find(at.args[0])
    now = room.membership(at.me)
    rule = room.state["m.room.join_rules", ""].content.get("join_rule")
    if now == "ban":
        raise Refusal(403, "M_BAD_STATE", "You are banned from this room.")
    if now not in ("invite", "join") and rule != "public":
        raise forbidden("You are not invited to this room.")
    if now != "join":
        room.join(at.me)
    return {"room_id": room.room_id}


def leave(at: Context) -> object:
    room = at.world.room(at.args[0])
    if room.membership(at.me) not in ("join", "invite"):
        raise forbidden(f"User {at.me} not in room {room.room_id}")
    room.set_membership(at.me, "leave")
    return {}


def change_member(membership: str) -> Callable[[Context], object]:
    def change(at: Context) -> object:
        target = str(at.body.get("user_id"))
        at.room().set_membership(target, membership, at.me, at.body.get("reason"))
        return {}

    return change


def display_name(at: Context) -> object:
    at.world.names[at.me] = str(at.body.get("displayname"))
    for room in at.world.rooms_of(at.me, "join"):
        room.join(at.me)
    return {}


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
            _demand_live(login, profile)
            return login
    raise Refusal(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.", soft_logout=False)


_V3 = "_matrix/client/v3"
TABLE = (
    Route("GET", "_matrix/client/versions", versions, needs_token=False),
    Route("GET", ".well-known/matrix/client", well_known, needs_token=False),
    Route("GET", f"{_V3}/login", login_flows, needs_token=False),
    Route("POST", f"{_V3}/login", login, needs_token=False),
    Route("POST", f"{_V3}/refresh", refresh, needs_token=False),
    Route("POST", f"{_V3}/logout", logout),
    Route("GET", f"{_V3}/account/whoami", whoami),
    Route("POST", f"{_V3}/user/*/filter", make_filter),
    Route("GET", f"{_V3}/user/*/filter/*", get_filter),
    Route("GET", f"{_V3}/sync", sync),
    Route("PUT", f"{_V3}/rooms/*/send/*/*", send),
    Route("PUT", f"{_V3}/rooms/*/redact/*/*", redact),
    Route("PUT", f"{_V3}/rooms/*/state/*", set_state),
    Route("PUT", f"{_V3}/rooms/*/state/*/*", set_state),
    Route("GET", f"{_V3}/rooms/*/messages", messages),
    Route("GET", f"{_V3}/rooms/*/state", state),
    Route("GET", f"{_V3}/rooms/*/state/*", state_event),
    Route("GET", f"{_V3}/rooms/*/state/*/*", state_event),
    Route("GET", f"{_V3}/rooms/*/event/*", event),
    Route("GET", f"{_V3}/rooms/*/members", members),
    Route("GET", f"{_V3}/rooms/*/joined_members", joined_members),
    Route("POST", f"{_V3}/rooms/*/receipt/*/*", receipt),
    Route("POST", f"{_V3}/rooms/*/read_markers", read_markers),
    Route("PUT", f"{_V3}/rooms/*/typing/*", typing),
    Route("POST", f"{_V3}/createRoom", create_room),
    Route("GET", f"{_V3}/directory/room/*", alias),
    Route("GET", f"{_V3}/joined_rooms", joined_rooms),
    Route("POST", f"{_V3}/join/*", join),
    Route("POST", f"{_V3}/rooms/*/join", join),
    Route("POST", f"{_V3}/rooms/*/leave", leave),
    Route("POST", f"{_V3}/rooms/*/invite", change_member("invite")),
    Route("POST", f"{_V3}/rooms/*/kick", change_member("leave")),
    Route("POST", f"{_V3}/rooms/*/ban", change_member("ban")),
    Route("POST", f"{_V3}/rooms/*/unban", change_member("leave")),
    Route("PUT", f"{_V3}/profile/*/displayname", display_name),
)
