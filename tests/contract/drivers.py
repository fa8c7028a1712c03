"""The people of each chat: what a person does and sees there, under one roof.

A new connector gets a driver here and its line in `DRIVERS`; the suite then runs on it. A plug-in
brings a driver of its own: `pytest tests/contract --driver MODULE:CLASS`.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from fleetchatd.connectors.base import Connector, Context
from fleetchatd.connectors.discord.connector import DiscordConnector
from fleetchatd.connectors.discord.events import dispatch_id, edit_id, redaction_id
from fleetchatd.connectors.matrix.connector import MatrixConnector
from fleetchatd.connectors.memory import MemoryConnector
from fleetchatd.connectors.tmux.connector import TmuxConnector
from fleetchatd.model import EditEvent, ReactionEvent, RedactionEvent, Secret
from tests.fakes.discord.server import FakeDiscordChannel
from tests.fakes.discord.things import Channel
from tests.fakes.homeserver import FakeHomeserver, FakeMatrixRoom
from tests.harness.rooms import Room
from tests.harness.tmux import Tmux


class Seen(NamedTuple):
    """A message of the bot, as people see it."""

    text: str
    id: str
    thread_id: str | None
    reply_to: str | None


class Driver(Protocol):
    """One chat with a person in it.

    Attributes:
        has_replies: whether a message can be an answer to another.
    """

    has_replies: bool

    def secret(self, name: str) -> Secret:
        """What the connector needs to get in."""

    def connector(self, context: Context) -> Connector:
        """The connector of the next life; the chat remembers all that it ever knew."""

    async def say(
        self, text: str, *, thread_id: str | None = None, reply_to: str | None = None
    ) -> str:
        """Say something; the event's id."""

    async def edit(self, event_id: str, text: str) -> str: ...

    async def react(self, event_id: str, key: str) -> str: ...

    async def redact(self, event_id: str) -> str: ...

    async def seen(self) -> list[Seen]:
        """What the bot said, oldest first."""

    async def break_off(self) -> None:
        """Nobody reaches the chat until `mend`; people in it go on talking."""

    async def mend(self) -> None: ...


class MemoryDriver:
    """The chat is the connector itself, so it outlives its lives."""

    has_replies = True

    def __init__(self) -> None:
        self._chat: MemoryConnector | None = None
        self._names = (f"memory-event-{number}" for number in itertools.count(1))

    def secret(self, name: str) -> Secret:
        raise AssertionError(name)

    def connector(self, context: Context) -> Connector:
        if self._chat is None:
            self._chat = MemoryConnector.create({}, context)
        return self._chat

    @property
    def chat(self) -> MemoryConnector:
        assert self._chat is not None
        return self._chat

    async def say(
        self, text: str, *, thread_id: str | None = None, reply_to: str | None = None
    ) -> str:
        return self.chat.say(text, thread_id=thread_id, reply_to=reply_to)

    async def edit(self, event_id: str, text: str) -> str:
        return self._happen(EditEvent, target=event_id, text=text)

    async def react(self, event_id: str, key: str) -> str:
        return self._happen(ReactionEvent, target=event_id, key=key)

    async def redact(self, event_id: str) -> str:
        return self._happen(RedactionEvent, target=event_id)

    def _happen(self, kind: Callable[..., Any], **fields: Any) -> str:
        event = kind(
            id=next(self._names),
            time="2026-11-22T13:00:00.000Z",
            connector="memory",
            sender="human",
            **fields,
        )
        self.chat.receive(event)
        return str(event.id)

    async def seen(self) -> list[Seen]:
        return [
            Seen(
                part.text,
                f"memory-sent-{part.transaction_id}",
                part.message.draft.thread_id,
                part.message.draft.reply_to,
            )
            for part in self.chat.sent
        ]

    async def break_off(self) -> None:
        raise AssertionError("there is no way to it that could break")

    async def mend(self) -> None:
        raise AssertionError("there is no way to it that could break")


class MatrixDriver:
    """A person in a room on a homeserver, real or scripted."""

    has_replies = True

    def __init__(self, room: Room | FakeMatrixRoom) -> None:
        self._room = room

    def secret(self, name: str) -> Secret:
        assert name == "matrix_access_token"
        return Secret(self._room.bot.access_token)

    def connector(self, context: Context) -> Connector:
        return MatrixConnector.create(self._room.settings, context)

    async def say(
        self, text: str, *, thread_id: str | None = None, reply_to: str | None = None
    ) -> str:
        return await self._room.human.say(text, thread=thread_id, reply_to=reply_to)

    async def edit(self, event_id: str, text: str) -> str:
        return await self._room.human.edit(event_id, text)

    async def react(self, event_id: str, key: str) -> str:
        return await self._room.human.react(event_id, key)

    async def redact(self, event_id: str) -> str:
        return await self._room.human.redact(event_id)

    async def seen(self) -> list[Seen]:
        events = await self._room.human.messages(self._room.bot.user_id)
        return [_seen(event) for event in events if "body" in event["content"]]

    async def break_off(self) -> None:
        assert isinstance(self._room, FakeMatrixRoom), "the real one is everybody's"
        await self._server.stop()

    async def mend(self) -> None:
        await self._server.start()

    @property
    def _server(self) -> FakeHomeserver:
        assert isinstance(self._room, FakeMatrixRoom)
        return self._room.server


class DiscordDriver:
    """A person in a channel of a scripted Discord."""

    has_replies = True

    def __init__(self, fleet: FakeDiscordChannel) -> None:
        self._fleet = fleet

    def secret(self, name: str) -> Secret:
        assert name == "discord_bot_token"
        return Secret(self._fleet.bot.token)

    def connector(self, context: Context) -> Connector:
        return DiscordConnector.create(self._fleet.settings, context)

    async def say(
        self, text: str, *, thread_id: str | None = None, reply_to: str | None = None
    ) -> str:
        return self._fleet.human.say(text, thread=thread_id, reply_to=reply_to)

    async def edit(self, event_id: str, text: str) -> str:
        message = self._fleet.human.edit(event_id, text)
        return edit_id(event_id, message.edited_timestamp or "")

    async def react(self, event_id: str, key: str) -> str:
        self._fleet.human.react(event_id, key)
        *_, session = self._fleet.server.gateway.sessions.values()
        return dispatch_id(session.id, session.seq)

    async def redact(self, event_id: str) -> str:
        self._fleet.human.delete(event_id)
        return redaction_id(event_id)

    async def seen(self) -> list[Seen]:
        world = self._fleet.server.world
        places = [self._fleet.channel, *world.threads(archived=False, parent=self._fleet.channel)]
        found = [seen for place in places for seen in self._seen_in(place)]
        return sorted(found, key=lambda seen: int(seen.id))

    def _seen_in(self, place: Channel) -> list[Seen]:
        thread_id = place.id if place.is_thread else None
        return [
            Seen(one.content, one.id, thread_id, (one.reference or {}).get("message_id"))
            for one in place.history()
            if one.author is self._fleet.bot and one.content
        ]

    async def break_off(self) -> None:
        await self._fleet.server.stop()

    async def mend(self) -> None:
        await self._fleet.server.start()


class TmuxDriver:
    """A person at the console, which the connector has started in a session of a real tmux."""

    has_replies = False

    def __init__(self, tmux: Tmux, state_dir: Path) -> None:
        self._tmux = tmux
        self._acks = state_dir / "console" / "ack"
        self._said: list[str] = []

    def secret(self, name: str) -> Secret:
        raise AssertionError(name)

    def connector(self, context: Context) -> Connector:
        return TmuxConnector.create({"socket_name": self._tmux.socket_name}, context)

    async def say(
        self, text: str, *, thread_id: str | None = None, reply_to: str | None = None
    ) -> str:
        assert reply_to is None
        (pane,) = await self._tmux.panes("operator")
        if thread_id is not None:
            await pane.submit(f"/thread {thread_id}")
        await pane.submit(text)
        if thread_id is not None:
            await pane.submit("/thread -")
        # Shown as sent, behind its address, is kept: from here on it must arrive.
        shown = await pane.until(
            f"{text!r} shown as sent",
            lambda shown: len(_OWN_LINE.findall(shown)) > len(self._said),
        )
        self._said = _OWN_LINE.findall(shown)
        return self._said[-1]

    async def edit(self, event_id: str, text: str) -> str:
        raise AssertionError("what is said at the console is said")

    async def react(self, event_id: str, key: str) -> str:
        raise AssertionError("the console has no reactions")

    async def redact(self, event_id: str) -> str:
        raise AssertionError("what is said at the console is said")

    async def seen(self) -> list[Seen]:
        (pane,) = await self._tmux.panes("operator")
        shown = await pane.capture()
        ids = sorted(self._acks.iterdir(), key=lambda ack: ack.stat().st_mtime_ns)
        found = list(_THEIR_MESSAGE.finditer(shown))
        assert len(found) == len(ids), shown
        return [
            Seen(textwrap.dedent(one["text"]).strip(), ack.name, one["tag"], None)
            for one, ack in zip(found, ids, strict=True)
        ]

    async def break_off(self) -> None:
        raise AssertionError("whatever ends in tmux is started again at once")

    async def mend(self) -> None:
        raise AssertionError("whatever ends in tmux is started again at once")


_OWN_LINE = re.compile(r"^\[\S+~(\w+) -> \S+\] ", re.MULTILINE)
_THEIR_MESSAGE = re.compile(
    r"^\d\d:\d\d mos(?: #(?P<tag>\S+))?\n(?P<text>(?:  .*\n| *\n)+)", re.MULTILINE
)


def _seen(event: dict[str, Any]) -> Seen:
    relation = event["content"].get("m.relates_to", {})
    thread_id = relation.get("event_id") if relation.get("rel_type") == "m.thread" else None
    reply_to = None
    if not relation.get("is_falling_back"):
        reply_to = relation.get("m.in_reply_to", {}).get("event_id")
    return Seen(event["content"]["body"], event["event_id"], thread_id, reply_to)
