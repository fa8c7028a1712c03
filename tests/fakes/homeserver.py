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
from fnmatch import fnmatchcase
from typing import Any, Self

from aiohttp import web

from tests.fakes import routes
from tests.fakes.calls import Answer, Call, ConnectionDropped, cut
from tests.fakes.faults import Action, Fault, Hold
from tests.fakes.profiles import SYNAPSE, Profile
from tests.fakes.room import SERVER_NAME, FakeRoom, Refusal
from tests.fakes.world import Login, World
from tests.harness.human import Account, Human
from tests.harness.ports import Port
from tests.harness.waiting import eventually

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


class FakeHomeserver:
    """One scripted homeserver. Stopped and started again it is the same one, on the same port.

    Attributes:
        world: all that it knows; may be changed at any time from the same event loop.
        calls: every request it ever got, in order.
        well_known: what `/.well-known/matrix/client` answers; None for 404.
    """

    server_name = SERVER_NAME

    def __init__(self, profile: Profile = SYNAPSE) -> None:
        self.profile = profile
        self.world = World(self._happened)
        self.calls: list[Call] = []
        self.well_known: object = None
        self._faults: list[Fault] = []
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
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
        app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        app.router.add_route("*", "/{any:.*}", self._serve)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port.number, reuse_address=True)
        await site.start()
        self.well_known = self.well_known or {"m.homeserver": {"base_url": self.base_url}}

    async def stop(self) -> None:
        """Stop listening and drop every connection; the world stays."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

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

    # Faults

    def fail(
        self, method: str, path: str, action: Action, *, nth: int = 1, times: int | None = 1
    ) -> Fault:
        """Have `action` for the `nth` matching request from now on and those after it.

        Args:
            path: a glob over the decoded path, such as `*/send/*`.
            times: for so many requests; None for all.
        """
        fault = Fault(method, path, action, nth, times)
        self._faults.append(fault)
        return fault

    def hold(self, method: str, path: str, *, answered: bool = False, nth: int = 1) -> Hold:
        """Hold matching requests, before they are processed or (`answered`) after it."""
        hold = Hold()
        self.fail(method, path, hold.after if answered else hold.before, nth=nth, times=None)
        return hold

    def mend(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    # What was asked

    def calls_to(self, method: str, path: str) -> list[Call]:
        """The requests so far that match two globs, of the method and of the path."""
        return [
            call for call in self.calls if call.method == method and fnmatchcase(call.path, path)
        ]

    async def called(
        self, method: str, path: str, count: int = 1, timeout_s: float = 20.0
    ) -> list[Call]:
        """Wait until at least `count` such requests have come; return them."""

        async def probe() -> list[Call] | None:
            found = self.calls_to(method, path)
            return found if len(found) >= count else None

        what = f"{count} times {method} {path}"
        return await eventually(what, probe, timeout_s=timeout_s, pause_s=0.01)

    # Serving

    def _happened(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _poll(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = await Call.read(request)
        self.calls.append(call)
        fault = self._fault_for(call)
        try:
            answer = await (
                fault.action(call, lambda: self._answer(call)) if fault else self._answer(call)
            )
        except ConnectionDropped as dropped:
            return await cut(request, dropped.partial)
        call.status = answer.status
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _fault_for(self, call: Call) -> Fault | None:
        """The first fault that takes the request; each one that matches counts it."""
        taking = [fault for fault in self._faults if fault.takes(call)]
        return taking[0] if taking else None

    async def _answer(self, call: Call) -> Answer:
        try:
            body = await routes.answer(self.world, self.profile, call, self._poll, self.well_known)
        except Refusal as refusal:
            return Answer.of(refusal.body, refusal.status)
        return Answer.of(body)
