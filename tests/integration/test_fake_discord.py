"""What validates the scripted Discord: two client libraries that know nothing of each other.

discord.py and hikari, unmodified, play the same scenario on it: log in, hear what a person does,
answer, read the history, open a thread, slow down when told to, lose their connection and resume.
Each parses every object by its own rules, and both must come to the same account of it. Nothing
here was ever compared with live Discord; where the two libraries are lenient, the scripted server
follows Discord's documentation (API v10).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import discord
import hikari
import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.fakes.discord.limits import Limit
from tests.fakes.discord.refusals import slow_down
from tests.fakes.discord.server import FakeDiscord, FakeDiscordChannel
from tests.harness.waiting import eventually

INTENTS = 34305
NO_MEMBERS = (10007, 10013)

Heard = tuple[str, ...]


class Client(Protocol):
    """What both libraries can do, under one roof.

    Attributes:
        heard: what it was told, in order.
    """

    heard: list[Heard]

    async def send(self, place: str, text: str, nonce: str | None = None) -> str: ...

    async def open_thread(self, message_id: str, name: str) -> str: ...

    async def history(self, place: str) -> list[str]: ...

    async def archived(self) -> list[str]: ...

    async def active(self) -> list[str]: ...

    async def may_read(self) -> bool: ...

    async def is_member(self, user_id: str) -> bool: ...


class DiscordPy(discord.Client):
    """discord.py, told where its server is as its source says it may be."""

    def __init__(self, fleet: FakeDiscordChannel) -> None:
        intents = discord.Intents._from_value(INTENTS)
        super().__init__(intents=intents, guild_ready_timeout=0.05)
        self.heard: list[Heard] = []
        self._fleet = fleet

    @property
    def place(self) -> discord.TextChannel:
        channel = self.get_channel(int(self._fleet.channel.id))
        assert isinstance(channel, discord.TextChannel)
        return channel

    async def on_ready(self) -> None:
        self.heard.append(("ready",))

    async def on_resumed(self) -> None:
        self.heard.append(("resumed",))

    async def on_message(self, message: discord.Message) -> None:
        assert self.user is not None
        if message.type is discord.MessageType.thread_starter_message:
            return
        own = message.author.id == self.user.id
        self.heard.append(("said", str(message.channel.id), message.content, "own" * own))

    async def on_raw_message_edit(self, edit: discord.RawMessageUpdateEvent) -> None:
        self.heard.append(("edited", str(edit.message_id), edit.data["content"]))

    async def on_raw_message_delete(self, deleted: discord.RawMessageDeleteEvent) -> None:
        self.heard.append(("deleted", str(deleted.message_id)))

    async def on_raw_reaction_add(self, reaction: discord.RawReactionActionEvent) -> None:
        self.heard.append(("reacted", str(reaction.message_id), str(reaction.emoji)))

    async def on_thread_create(self, thread: discord.Thread) -> None:
        self.heard.append(("thread", str(thread.id), str(thread.parent_id)))

    async def send(self, place: str, text: str, nonce: str | None = None) -> str:
        route = Route("POST", "/channels/{channel_id}/messages", channel_id=place)
        body = {"content": text, "nonce": nonce, "enforce_nonce": nonce is not None}
        return str((await self.http.request(route, json=body))["id"])

    async def open_thread(self, message_id: str, name: str) -> str:
        message = await self.place.fetch_message(int(message_id))
        return str((await message.create_thread(name=name)).id)

    async def history(self, place: str) -> list[str]:
        channel = await self.fetch_channel(int(place))
        assert isinstance(channel, discord.TextChannel | discord.Thread)
        return [one.content async for one in channel.history(limit=None, oldest_first=True)]

    async def archived(self) -> list[str]:
        return [thread.name async for thread in self.place.archived_threads()]

    async def active(self) -> list[str]:
        return [thread.name for thread in await self.place.guild.active_threads()]

    async def may_read(self) -> bool:
        return (await self.application_info()).flags.gateway_message_content_limited

    async def is_member(self, user_id: str) -> bool:
        try:
            return str((await self.place.guild.fetch_member(int(user_id))).id) == user_id
        except discord.NotFound as error:
            return error.code not in NO_MEMBERS


class Hikari:
    """hikari, which may be told where its server is."""

    def __init__(self, fleet: FakeDiscordChannel) -> None:
        self.heard: list[Heard] = []
        self._fleet = fleet
        self.bot = hikari.GatewayBot(
            fleet.bot.token,
            rest_url=fleet.server.api_url,
            intents=hikari.Intents(INTENTS),
            banner=None,
            logs=None,
        )
        tell = self.heard.append
        self._listen(hikari.ShardReadyEvent, lambda event: tell(("ready",)))
        self._listen(hikari.ShardResumedEvent, lambda event: tell(("resumed",)))
        self._listen(hikari.GuildMessageCreateEvent, self._said)
        self._listen(
            hikari.GuildMessageUpdateEvent,
            lambda event: tell(("edited", str(event.message_id), event.message.content)),
        )
        self._listen(
            hikari.GuildMessageDeleteEvent, lambda event: tell(("deleted", str(event.message_id)))
        )
        self._listen(
            hikari.GuildReactionAddEvent,
            lambda event: tell(("reacted", str(event.message_id), str(event.emoji_name))),
        )
        self._listen(
            hikari.GuildThreadCreateEvent,
            lambda event: tell(("thread", str(event.thread_id), str(event.thread.parent_id))),
        )

    def _listen(self, kind: type[Any], tell: Callable[[Any], None]) -> None:
        async def listener(event: Any) -> None:
            tell(event)

        self.bot.subscribe(kind, listener)

    def _said(self, event: hikari.GuildMessageCreateEvent) -> None:
        if event.message.type == hikari.MessageType.THREAD_STARTER_MESSAGE:
            return
        own = str(event.author_id) == self._fleet.bot.id
        self.heard.append(("said", str(event.channel_id), event.content or "", "own" * own))

    async def send(self, place: str, text: str, nonce: str | None = None) -> str:
        # Its own call for this knows no nonce to be enforced.
        route = hikari.internal.routes.POST_CHANNEL_MESSAGES.compile(channel=place)
        body = {"content": text, "nonce": nonce, "enforce_nonce": nonce is not None}
        rest: Any = self.bot.rest
        return str((await rest._request(route, json=body))["id"])

    async def open_thread(self, message_id: str, name: str) -> str:
        channel = int(self._fleet.channel.id)
        thread = await self.bot.rest.create_message_thread(channel, int(message_id), name)
        return str(thread.id)

    async def history(self, place: str) -> list[str]:
        messages = await self.bot.rest.fetch_messages(int(place), after=0)
        return [one.content or "" for one in messages]

    async def archived(self) -> list[str]:
        channel = int(self._fleet.channel.id)
        found = await self.bot.rest.fetch_public_archived_threads(channel)
        return [str(thread.name) for thread in found]

    async def active(self) -> list[str]:
        found = await self.bot.rest.fetch_active_threads(int(self._fleet.server.world.guild_id))
        return [str(thread.name) for thread in found]

    async def may_read(self) -> bool:
        flags = (await self.bot.rest.fetch_application()).flags
        return bool(flags & hikari.ApplicationFlags.MESSAGE_CONTENT_INTENT_LIMITED)

    async def is_member(self, user_id: str) -> bool:
        guild_id = int(self._fleet.server.world.guild_id)
        try:
            return str((await self.bot.rest.fetch_member(guild_id, int(user_id))).id) == user_id
        except hikari.NotFoundError as error:
            return error.code not in NO_MEMBERS


@asynccontextmanager
async def discord_py(fleet: FakeDiscordChannel) -> AsyncIterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Route, "BASE", fleet.server.api_url)
        patch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(fleet.server.gateway.url))
        async with DiscordPy(fleet) as client, asyncio.TaskGroup() as group:
            running = group.create_task(client.start(fleet.bot.token))
            yield client
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@asynccontextmanager
async def hikari_bot(fleet: FakeDiscordChannel) -> AsyncIterator[Client]:
    client = Hikari(fleet)
    try:
        await client.bot.start(check_for_updates=False)
        yield client
    finally:
        await client.bot.close()


both = pytest.mark.parametrize("connected", [discord_py, hikari_bot])
Connected = Callable[[FakeDiscordChannel], Any]


async def until(client: Client, heard: Heard) -> None:
    async def probe() -> bool:
        return heard in client.heard

    try:
        await eventually(f"{heard} heard", probe, pause_s=0.01)
    except AssertionError as error:
        raise AssertionError(f"{error}: {client.heard}") from None


@both
async def test_a_conversation_with_all_that_may_happen_in_it(connected: Connected) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        ann, place = fleet.human, fleet.channel.id
        async with connected(fleet) as client:
            await until(client, ("ready",))
            hello = ann.say("hello")
            await until(client, ("said", place, "hello", ""))
            answer = await client.send(place, "hi there")
            thread = await client.open_thread(hello, "about hello")
            assert thread == hello
            await client.send(thread, "in the thread")
            ann.say("yes", thread=thread)
            ann.edit(hello, "hello!")
            ann.react(answer, "👍")
            ann.delete(answer)
            await until(client, ("deleted", answer))
            assert client.heard == [
                ("ready",),
                ("said", place, "hello", ""),
                ("said", place, "hi there", "own"),
                ("thread", thread, place),
                ("said", thread, "in the thread", "own"),
                ("said", thread, "yes", ""),
                ("edited", hello, "hello!"),
                ("reacted", answer, "👍"),
                ("deleted", answer),
            ]
            assert await client.history(place) == ["hello!"]
            assert (await client.history(thread))[-2:] == ["in the thread", "yes"]
            assert await client.active() == ["about hello"]
            ann.archive(thread)
            assert (await client.active(), await client.archived()) == ([], ["about hello"])


@both
async def test_the_application_and_the_members_can_be_looked_at(connected: Connected) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            assert await client.may_read()
            server.gateway.allowed_intents = 0
            assert not await client.may_read()
            assert await client.is_member(fleet.human.user_id)
            del server.world.members[fleet.human.user_id]
            assert not await client.is_member(fleet.human.user_id)
            assert not await client.is_member("1")


@both
async def test_a_nonce_makes_one_message_of_two_requests(connected: Connected) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            first = await client.send(fleet.channel.id, "once", "n1")
            assert await client.send(fleet.channel.id, "once", "n1") == first
            assert fleet.said_by_bot() == ["once"]


@both
async def test_long_histories_come_in_pages(connected: Connected) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        said = [f"message {number}" for number in range(250)]
        for text in said:
            fleet.human.say(text)
        async with connected(fleet) as client:
            await until(client, ("ready",))
            assert await client.history(fleet.channel.id) == said


@both
@pytest.mark.parametrize("breakage", ["reconnect", "cut", "may resume"])
async def test_a_lost_connection_is_resumed_and_what_was_missed_is_replayed(
    connected: Connected, breakage: str
) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            if breakage == "reconnect":
                server.gateway.say_to_all(7)
            elif breakage == "cut":
                server.gateway.drop_all()
            else:
                server.gateway.say_to_all(9, True)
            fleet.human.say("meanwhile")
            await until(client, ("said", fleet.channel.id, "meanwhile", ""))
            await until(client, ("resumed",))
        assert (len(server.gateway.identifies), server.gateway.resumes) == (1, [True])


@both
async def test_an_invalid_session_is_begun_anew_not_within_five_seconds(
    connected: Connected,
) -> None:
    async with FakeDiscord() as server:
        server.gateway.identify_every_s = 0.2
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            server.gateway.forget_sessions()
            server.gateway.say_to_all(9, False)
            await server_identified(server, 2)
            assert [one.taken for one in server.gateway.identifies] == [True, True]


async def server_identified(server: FakeDiscord, count: int) -> None:
    async def probe() -> bool:
        return len(server.gateway.identifies) >= count

    await eventually("identified", probe)


@both
async def test_who_asks_too_often_is_told_to_wait_and_does(connected: Connected) -> None:
    async with FakeDiscord() as server:
        server.limits.by_route["POST channels/*/messages"] = Limit(3, 0.3)
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            server.fail("POST", "*/messages", slow_down(0.1))
            server.fail("POST", "*/messages", slow_down(0.1, for_all=True))
            for number in range(8):
                await client.send(fleet.channel.id, f"message {number}")
        assert fleet.said_by_bot() == [f"message {number}" for number in range(8)]


@both
@pytest.mark.parametrize("code", [4004, 4013, 4014])
async def test_a_closing_of_the_gateway_for_good_is_understood(
    connected: Connected, code: int
) -> None:
    async with FakeDiscord() as server:
        server.gateway.close_identify.append(code)
        with pytest.raises((hikari.HikariError, ExceptionGroup)):
            async with connected(server.furnish()):
                await asyncio.sleep(5)
        assert len(server.gateway.identifies) == 1


@both
async def test_a_refused_token_is_understood(connected: Connected) -> None:
    async with FakeDiscord() as server:
        server.refusing_tokens = True
        with pytest.raises((hikari.UnauthorizedError, ExceptionGroup)):
            async with connected(server.furnish()):
                await asyncio.sleep(5)
        assert server.gateway.identifies == []
