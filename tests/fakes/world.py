"""What a scripted homeserver knows: users, logins, rooms. No I/O.

Everything that happens takes the next position of one stream; a token of the protocol is such
a position (profiles.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.fakes.room import SERVER_NAME, FakeRoom, forbidden, new_room_id, not_found
from tests.harness.human import Account


@dataclass
class Login:
    """One login of one user: a device with its present tokens.

    Attributes:
        sent_members: room to user to the member event that lazy loading has sent.
    """

    account: Account
    state: Literal["live", "expired", "gone"] = "live"
    sent_members: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def user_id(self) -> str:
        return self.account.user_id

    @property
    def device_id(self) -> str:
        return self.account.device_id


class World:
    """All users, logins and rooms of one homeserver.

    Attributes:
        happened: called after every change; the server wakes its long polls with it.
        transactions: (scope, transaction id) to event id.
    """

    def __init__(self, happened: Callable[[], None] = lambda: None) -> None:
        self.position = 1
        self.happened = happened
        self.rooms: dict[str, FakeRoom] = {}
        self.aliases: dict[str, str] = {}
        self.logins: list[Login] = []
        self.passwords: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.filters: list[Any] = []
        self.transactions: dict[tuple[str, ...], str] = {}

    def next_position(self) -> int:
        self.position += 1
        return self.position

    # Users

    def add_user(self, name: str | None = None) -> Account:
        """Make a user and log it in."""
        name = name or f"user{len(self.passwords) + 1}"
        user_id = f"@{name}:{SERVER_NAME}"
        self.passwords[user_id] = secrets.token_hex(8)
        return self.log_in(user_id).account

    def display_name(self, user_id: str) -> str:
        return self.names.get(user_id, user_id[1:].partition(":")[0])

    def log_in(
        self, user_id: str, device_id: str | None = None, *, refreshable: bool = False
    ) -> Login:
        """Log in; the old login on the same device ends."""
        device_id = device_id or secrets.token_hex(5).upper()
        for login in self.logins:
            if (login.user_id, login.device_id) == (user_id, device_id):
                login.state = "gone"
        account = Account(
            user_id=user_id,
            password=self.passwords[user_id],
            access_token=_token(),
            device_id=device_id,
            refresh_token=_token() if refreshable else None,
            expires_in_ms=300_000 if refreshable else None,
        )
        login = Login(account)
        self.logins.append(login)
        return login

    def refresh(self, login: Login) -> None:
        """Give a login new tokens; the old ones are refused from now on."""
        refreshed = replace(login.account, access_token=_token(), refresh_token=_token())
        login.account, login.state = refreshed, "live"

    # Rooms

    def add_room(
        self,
        creator: str,
        *,
        invite: Iterable[str] = (),
        members: Iterable[str] = (),
        join_rule: str = "invite",
        version: str = "12",
        initial_state: Iterable[Mapping[str, Any]] = (),
        alias: str | None = None,
    ) -> FakeRoom:
        """Make a room as servers do: create, join, power levels, rules, then the rest."""
        room = FakeRoom(self, new_room_id(version), version)
        self.rooms[room.room_id] = room
        room.send(creator, "m.room.create", {"room_version": version}, state_key="")
        room.join(creator)
        state: dict[tuple[str, str], Any] = {
            ("m.room.power_levels", ""): {"users": {} if version == "12" else {creator: 100}},
            **({("m.room.canonical_alias", ""): {"alias": alias}} if alias else {}),
            ("m.room.join_rules", ""): {"join_rule": join_rule},
            ("m.room.history_visibility", ""): {"history_visibility": "shared"},
            ("m.room.guest_access", ""): {"guest_access": "can_join"},
        }
        for event in initial_state:
            state[event["type"], event.get("state_key", "")] = event["content"]
        for (kind, key), content in state.items():
            room.set_state(kind, content, key, creator)
        for user_id in (*invite, *members):
            room.invite(user_id)
        for user_id in members:
            room.join(user_id)
        if alias is not None:
            self.aliases[alias] = room.room_id
        return room

    def room(self, room_id: str) -> FakeRoom:
        try:
            return self.rooms[room_id]
        except KeyError:
            raise forbidden("Unknown room") from None

    def find(self, room: str) -> FakeRoom:
        """A room by id or alias."""
        if room.startswith("#"):
            if room not in self.aliases:
                raise not_found(f"Room alias {room} not found")
            room = self.aliases[room]
        return self.room(room)

    def rooms_of(self, user_id: str, membership: str) -> Iterator[FakeRoom]:
        return (room for room in self.rooms.values() if room.membership(user_id) == membership)


def _token() -> str:
    return f"fake_{secrets.token_urlsafe(16)}"
