"""A scripted Discord on loopback: honest by default, and as faulty as a test wants it.

async with FakeDiscord() as server:
    fleet = server.furnish()
    fleet.human.say("hello")
    server.fail("POST", "*/messages", faults.lose_answer())
    server.gateway.say_to_all(7)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.fakes.calls import Answer, Call
from tests.fakes.discord import routes
from tests.fakes.discord.gateway import Gateway
from tests.fakes.discord.limits import Limits
from tests.fakes.discord.people import Person
from tests.fakes.discord.refusals import Refusal
from tests.fakes.discord.things import Channel, User
from tests.fakes.discord.world import World
from tests.fakes.scripted import Scripted

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


class FakeDiscord(Scripted):
    """One scripted Discord. Stopped and started again it is the same one, on the same port.

    Attributes:
        world: all that it knows; may be changed at any time from the same event loop.
        gateway: its gateway, and what can be done to it.
        limits: the rate limits.
        refusing_tokens: every token is refused.
        mime: the type of answers; Discord's own says nothing of a charset.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.gateway = Gateway(self.world)
        self.limits = Limits()
        self.refusing_tokens = False
        self.mime = "application/json"
        self.world.happened = self.gateway.happened
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
        self._port = await self._listen(app, self._port)
        self.gateway.url = f"ws://127.0.0.1:{self._port}{_GATEWAY_PATH}"

    async def stop(self) -> None:
        """Stop listening and drop every connection; the world and the sessions stay."""
        self.gateway.drop_all()
        await super().stop()

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

    # Serving

    def _headers(self, answer: Answer) -> Mapping[str, str]:
        headers = dict(answer.headers)
        if headers.get("Content-Type") == "application/json":
            headers["Content-Type"] = self.mime
        return headers

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
