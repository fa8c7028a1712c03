"""A scripted homeserver on loopback: honest by default, and as faulty as a test wants it.

    async with FakeHomeserver(CONDUIT) as server:
        ann, bot = server.human("ann"), server.add_user("mos")
        room = server.add_room(ann, bot)
        room.say(ann.user_id, "hello")
        server.fail("PUT", "*/send/*", faults.lose_answer())

What validates it: tests/integration/test_fake_against_synapse.py drives one scenario with one
client against a real Synapse and against the `SYNAPSE` profile, and compares the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.fakes import routes
from tests.fakes.calls import Answer, Call
from tests.fakes.profiles import SYNAPSE, Profile
from tests.fakes.room import SERVER_NAME, FakeRoom, Refusal
from tests.fakes.scripted import Scripted
from tests.fakes.world import Login, World
from tests.harness.human import Account, Human
from tests.harness.ports import Port

_LARGEST_BODY_BYTES = 16 << 20


@dataclass(frozen=True)
class FakeMatrixRoom:
    """A human, a bot and their room on a scripted server."""

    server: FakeHomeserver
    room: FakeRoom
    human: Human
    bot: Account

    @property
    def room_id(self) -> str:
        return self.room.room_id

    @property
    def bot_hands(self) -> Human:
        """The bot's account as a scripted client, for a test that acts in its place."""
        return Human(self.server.base_url, self.bot, self.room_id)

    @property
    def settings(self) -> dict[str, Any]:
        """The roster's block that means this room."""
        return {
            "homeserver_url": self.server.base_url,
            "user_id": self.bot.user_id,
            "room_id": self.room_id,
        }

    async def said_by_bot(self) -> list[str]:
        """What people see of the bot, oldest first."""
        return self.room.texts(self.bot.user_id)


class FakeHomeserver(Scripted):
    """One scripted homeserver. Stopped and started again it is the same one, on the same port.

    Attributes:
        world: all that it knows; may be changed at any time from the same event loop.
        well_known: what `/.well-known/matrix/client` answers; None for 404.
    """

    server_name = SERVER_NAME

    def __init__(self, profile: Profile = SYNAPSE) -> None:
        super().__init__()
        self.profile = profile
        self.world = World(self._happened)
        self.well_known: object = None
        self._changed = asyncio.Event()
        self._port = Port()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        self._port.close()

    @property
    def base_url(self) -> str:
        return self._port.base_url

    async def start(self) -> None:
        await self._listen(web.Application(client_max_size=_LARGEST_BODY_BYTES), self._port.number)
        self.well_known = self.well_known or {"m.homeserver": {"base_url": self.base_url}}

    # People and rooms

    def add_user(self, name: str | None = None) -> Account:
        return self.world.add_user(name)

    def human(self, name: str | None = None) -> Human:
        """A new user as a scripted client of the tests, over HTTP like any other."""
        return Human(self.base_url, self.add_user(name))

    def add_room(
        self,
        creator: Human | Account,
        *members: Human | Account,
        invite: Iterable[str] = (),
        **settings: Any,
    ) -> FakeRoom:
        """A room with everybody in it; the humans among them look at it."""
        ids = [member.user_id for member in members]
        room = self.world.add_room(creator.user_id, members=ids, invite=invite, **settings)
        for person in (creator, *members):
            if isinstance(person, Human):
                person.room_id = room.room_id
        return room

    def furnish(self, *, joined: bool = True, **settings: Any) -> FakeMatrixRoom:
        """A fresh human and bot in a fresh room."""
        human, bot = self.human(), self.add_user()
        if joined:
            room = self.add_room(human, bot, **settings)
        else:
            room = self.add_room(human, invite=[bot.user_id], **settings)
        return FakeMatrixRoom(self, room, human, bot)

    def room(self, room_id: str) -> FakeRoom:
        return self.world.room(room_id)

    # Tokens and transactions

    def login(self, account: Account) -> Login:
        """The login that has this account's device, with its present tokens."""
        return next(
            login
            for login in reversed(self.world.logins)
            if (login.user_id, login.device_id) == (account.user_id, account.device_id)
        )

    def expire_token(self, account: Account) -> None:
        """From now on its token is refused; where the profile knows it, with `soft_logout`."""
        self.login(account).state = "expired"
        self._happened()

    def revoke_token(self, account: Account) -> None:
        """From now on its token is refused for good, and its refresh token too."""
        self.login(account).state = "gone"
        self._happened()

    def forget_transactions(self) -> None:
        """As every server does after a while (Synapse: 24 hours)."""
        self.world.transactions.clear()

    # Serving

    def _happened(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _poll(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()

    async def _answer(self, call: Call) -> Answer:
        try:
            body = await routes.answer(self.world, self.profile, call, self._poll, self.well_known)
        except Refusal as refusal:
            return Answer.of(refusal.body, refusal.status)
        return Answer.of(body)
