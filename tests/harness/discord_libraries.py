"""discord.py and hikari, unmodified, under one roof: each parses every object by its own rules."""

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

from tests.fakes.discord.server import FakeDiscordChannel

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
