"""A scripted Discord on loopback: honest by default, and as faulty as a test wants it.

async with FakeDiscord() as server:
    fleet = server.furnish()
    fleet.human.say("hello")
    server.fail("POST", "*/messages", faults.lose_answer())
    server.gateway.say_to_all(7)
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Self

from aiohttp import web

from tests.fakes.calls import Answer, Call, ConnectionDropped, cut
from tests.fakes.discord import routes
from tests.fakes.discord.gateway import Gateway
from tests.fakes.discord.limits import Limits
from tests.fakes.discord.people import Person
from tests.fakes.discord.refusals import Refusal
from tests.fakes.discord.things import Channel, User
from tests.fakes.discord.world import World
from tests.fakes.faults import Action, Fault, Hold
from tests.harness.waiting import eventually

_GATEWAY_PATH = "/gateway"


@dataclass(frozen=True)
class FakeDiscordChannel:
    """A person, a bot and their channel on a scripted server."""

    server: FakeDiscord
    channel: Channel
    human: Person
    bot: User

    @property
    def settings(self) -> dict[str, Any]:
        """The roster's block that means this channel."""
        return {"channel_id": self.channel.id, "api_url": self.server.api_url}

    @property
    def bot_hands(self) -> Person:
        """The bot's account, for a test that acts in its place."""
        return Person(self.server.world, self.bot, self.channel)

    def said_by_bot(self, place: Channel | None = None) -> list[str]:
        """What people see of the bot in the channel, or a thread of it, oldest first."""
        history = (place or self.channel).history()
        return [message.content for message in history if message.author is self.bot]


class FakeDiscord:
    """One scripted Discord. Stopped and started again it is the same one, on the same port.

    Attributes:
        world: all that it knows; may be changed at any time from the same event loop.
        gateway: its gateway, and what can be done to it.
        limits: the rate limits.
        calls: every request it ever got, in order; connections to the gateway are not among them.
        refusing_tokens: every token is refused.
        mime: the type of answers; Discord's own says nothing of a charset.
    """

    def __init__(self) -> None:
        self.world = World()
        self.gateway = Gateway(self.world)
        self.limits = Limits()
        self.calls: list[Call] = []
        self.refusing_tokens = False
        self.mime = "application/json"
        self.world.happened = self.gateway.happened
        self._faults: list[Fault] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def api_url(self) -> str:
        assert self._port, "the server was never started"
        return f"http://127.0.0.1:{self._port}/api/v10"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get(_GATEWAY_PATH, self.gateway.serve)
        app.router.add_get(f"{_GATEWAY_PATH}/", self.gateway.serve)
        app.router.add_route("*", "/{any:.*}", self._serve)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.gateway.url = f"ws://127.0.0.1:{self._port}{_GATEWAY_PATH}"

    async def stop(self) -> None:
        """Stop listening and drop every connection; the world and the sessions stay."""
        if self._runner is not None:
            self.gateway.drop_all()
            await self._runner.cleanup()
            self._runner = None

    def furnish(self, *, closed: bool = True) -> FakeDiscordChannel:
        """A fresh person and bot in a fresh channel, which is theirs alone if it is closed."""
        number = len(self.world.users)
        user = self.world.add_user(f"ann{number}", display="Ann")
        bot = self.world.add_user(f"mos{number}", bot=True)
        channel = self.world.add_channel(closed=closed)
        if closed:
            self.world.let_in(channel, user)
            self.world.let_in(channel, bot)
        return FakeDiscordChannel(self, channel, Person(self.world, user, channel), bot)

    # Faults

    def fail(
        self, method: str, path: str, action: Action, *, nth: int = 1, times: int | None = 1
    ) -> Fault:
        """Have `action` for the `nth` matching request from now on and those after it.

        Args:
            method: of HTTP.
            path: a glob over the decoded path, such as `*/messages`.
            action: one of tests/fakes/faults.py, or of refusals.py.
            nth: which one is the first.
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

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = await Call.read(request)
        self.calls.append(call)
        taking = [fault for fault in self._faults if fault.takes(call)]
        try:
            if taking:
                answer = await taking[0].action(call, lambda: self._answer(call))
            else:
                answer = await self._answer(call)
        except ConnectionDropped as dropped:
            return await cut(request, dropped.partial)
        call.status = answer.status
        headers = dict(answer.headers)
        if headers.get("Content-Type") == "application/json":
            headers["Content-Type"] = self.mime
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    async def _answer(self, call: Call) -> Answer:
        try:
            me = routes.admit(self.world, call, refused=self.refusing_tokens)
            route, args = routes.find(call)
        except Refusal as refusal:
            return Answer.of(refusal.body, refusal.status, Via="1.1 google")
        major = args[0] if args else ""
        headers, too_much = self.limits.take(f"{route.method} {route.pattern}", major)
        if too_much is not None:
            return Answer(429, too_much.body, dict(too_much.headers) | dict(headers))
        gateway = self.gateway
        about = (gateway.start_limit, gateway.url, gateway.allowed_intents)
        try:
            routes.snowflakes(args)
            found = route.handler(routes.Context(self.world, call, me, args, *about))
        except Refusal as refusal:
            answer = Answer.of(refusal.body, refusal.status)
        else:
            answer = Answer(204, b"") if found is None else Answer.of(found)
        return Answer(answer.status, answer.body, dict(answer.headers) | dict(headers))
