"""The Discord connector: the gateway in, REST out, and what health can truthfully say.

subscribe:  sign in ─▶ gateway.run ──heard──▶ in line ──▶ worked off, one after another:
                                                          READY, RESUMED: catch up by REST
                                                          a change of the rules: look around
                                                          all else: through the gate (intake.py)
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn, Self

import structlog

from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.connectors.discord import split
from fleetchatd.connectors.discord.budget import Budget
from fleetchatd.connectors.discord.gate import Gate
from fleetchatd.connectors.discord.gateway import Fatal, Gateway, unwelcome
from fleetchatd.connectors.discord.intake import Intake, look_around
from fleetchatd.connectors.discord.line import (
    CATCHING_UP,
    OVERFLOW,
    SAID,
    THREADS,
    Dispatch,
    Line,
    concerns,
)
from fleetchatd.connectors.discord.outgoing import NoAccess, Outgoing, Unwelcome
from fleetchatd.connectors.discord.place import no_access
from fleetchatd.connectors.discord.position import Mark, Position
from fleetchatd.connectors.discord.raw import KIND
from fleetchatd.connectors.discord.rest import (
    DEFAULT_API_URL,
    Refused,
    Rest,
    RestError,
    Unreachable,
)
from fleetchatd.connectors.discord.settings import SCHEMA, SECRETS
from fleetchatd.connectors.discord.standing import Standing
from fleetchatd.connectors.untrusted import list_of, mapping_of
from fleetchatd.errors import SendDeferred
from fleetchatd.model import ConnectorHealth, Format, OutboundPart, SendResult

CATCH_UP_EVERY_S = 600.0
"""How often the history is asked for what the gateway did not tell, in seconds."""

AT_ONCE = 4
"""How many batches may wait for the disk while the next one is read."""

log = structlog.get_logger("fleetchatd.connector")


class Unusable(Exception):  # noqa: N818 - reads as the outcome that it is
    """A person must act before the channel can be used; the sentence says how."""


class DiscordConnector:
    """One channel and its threads, as one bot (contract §6)."""

    kind: ClassVar[str] = KIND
    settings_schema: ClassVar[Mapping[str, Any]] = SCHEMA
    secrets: ClassVar[Sequence[str]] = SECRETS

    def __init__(self, settings: Mapping[str, Any], context: Context) -> None:
        allowed = settings.get("allowed_senders")
        self._context = context
        self._api_url: str = settings.get("api_url", DEFAULT_API_URL).rstrip("/")
        self._channel_id: str = settings["channel_id"]
        self._token = context.secret(SECRETS[0])
        self._standing = Standing(None if allowed is None else frozenset(allowed))
        self._shown = self._standing.health()
        self._gateway = Gateway(Budget(context.state_dir), context.pauses, self)
        self._outgoing = Outgoing(self._channel_id, context.is_sent)
        self._rest: Rest | None = None
        self._intake: Intake | None = None
        self._line = Line()
        self._news = asyncio.Event()
        self._catch_up_at = 0.0

    @classmethod
    def create(cls, settings: Mapping[str, Any], context: Context) -> Self:
        """Make one from its block in the roster; opens no connection."""
        return cls(settings, context)

    @property
    def target(self) -> str:
        """The channel, as the roster names it; ids of Discord's own are unique."""
        where = "" if self._api_url == DEFAULT_API_URL else f" {self._api_url}"
        return f"{KIND}{where} {self._channel_id}"

    def health(self) -> ConnectorHealth:
        """What it can truthfully say of itself now."""
        return self._standing.health()

    def _show(self) -> None:
        before, self._shown = self._shown, self._standing.health()
        if not self._shown.same_as(before):
            self._context.health_changed()

    async def close(self) -> None:
        """Close the connections."""
        rest, self._rest = self._rest, None
        if rest is not None:
            await rest.close()

    def split(self, text: str, text_format: Format) -> tuple[str, ...]:
        """`text` in parts that each fit a message, losslessly. Discord shows Markdown always."""
        return split.split(text)

    # -- what the gateway tells (gateway.Listener) ----------------------------------------------

    def heard(self, name: str, data: Mapping[Any, Any], session_id: str, seq: int) -> None:
        """Put a dispatch in line, if it may concern us."""
        dispatch = Dispatch(name, data, session_id, seq)
        place, intake = self._standing.place, self._intake
        if not concerns(
            dispatch,
            channel_id=self._channel_id,
            guild_id=None if place is None else place.guild_id,
            me=None if self._rest is None else self._rest.me,
            elsewhere=self._is_unheard if intake is None else intake.is_elsewhere,
        ):
            return
        if name in ("READY", "RESUMED"):
            self._standing.connected = self._standing.reachable = True
            self._standing.lost = None
            self._standing.caught_up = self._standing.caught_up and name == "RESUMED"
        self._line.join(dispatch)
        if name not in SAID:
            self._context.pauses.succeeded()  # what could not be used may be usable now
        self._news.set()
        self._show()

    def _is_unheard(self, _: object) -> bool:
        """Whether no thread can be ours, as the channel itself is not there for us."""
        return self._standing.unusable is not None

    def acknowledged(self) -> None:
        """Something came: the connection lives."""
        self._standing.last_receive = asyncio.get_running_loop().time()

    def lost(self, reason: str, *, reachable: bool) -> None:
        """The connection to the gateway is gone."""
        self._standing.connected = False
        self._standing.reachable = reachable
        self._standing.lost = reason
        if self._intake is None and self._rest is not None:
            # It may last until tomorrow; by REST one can talk meanwhile.
            self._catch_up_at = 0.0
            self._news.set()
        self._show()

    # -- receiving ------------------------------------------------------------------------------

    async def subscribe(self, inbox: Inbox) -> None:
        """Receive until cancelled, surviving every outage."""
        self._line.clear()
        self._intake = None
        self._standing.connected = self._standing.caught_up = False
        self._gateway.rewind(*self._line.taken)
        while True:
            wait_s = None
            try:
                await self._receive(inbox)
            except Fatal as fatal:
                self._give_up(fatal)
                await asyncio.Event().wait()  # for the reload that makes another connector
            except Unreachable as error:
                self.lost(f"cannot reach Discord: {error}", reachable=False)
            except Refused as refusal:
                self.lost(str(refusal), reachable=refusal.told)
                wait_s = refusal.retry_after_s
            await self._context.pauses.wait(wait_s)

    def _give_up(self, fatal: Fatal) -> None:
        log.error("Discord will have none of us", reason=str(fatal))
        self._standing.fatal = str(fatal)
        self._standing.connected = False
        self._standing.reachable = True
        self._standing.signed_in = fatal.authenticated
        self._show()

    async def _receive(self, inbox: Inbox) -> None:
        rest = await self._signed_in()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._gateway.run(rest))
                await self._work(rest, inbox)
        except ExceptionGroup as failures:
            fatal = next((one for one in failures.exceptions if isinstance(one, Fatal)), None)
            raise (fatal or failures.exceptions[0]) from None

    async def _signed_in(self) -> Rest:
        """Show the token; it is shown again only by another connector.

        Raises:
            Fatal: it is refused.
            RestError: Discord could not be asked.
        """
        if self._rest is None:
            try:
                self._rest = await Rest.sign_in(self._api_url, self._token.value)
            except Refused as refusal:
                if refusal.unwelcome:
                    raise unwelcome(refusal) from None
                raise
            self._standing.signed_in = self._standing.reachable = True
            self._show()
        return self._rest

    async def _work(self, rest: Rest, inbox: Inbox) -> NoReturn:
        """Work off what stands in line; what fails stays there and is tried again."""
        committing: deque[asyncio.Future[None]] = deque()
        loop = asyncio.get_running_loop()
        self._catch_up_at = float("inf")  # until the gateway is ready
        while True:
            self._news.clear()
            try:
                while self._line or loop.time() >= self._catch_up_at:
                    moved = await self._next(rest, inbox)
                    if moved is not None:
                        committing.append(moved)
                        if len(committing) > AT_ONCE:
                            await committing.popleft()
                self._standing.trouble = None
                self._show()
            except (RestError, Unusable) as error:
                await self._context.pauses.wait(self._troubled(error))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._catch_up_at):
                    await self._news.wait()

    def _troubled(self, error: RestError | Unusable) -> float | None:
        """Show why the line stands still; how long to wait at least, in seconds.

        Raises:
            Fatal: it will stand still until a person acts.
        """
        wait_s = None
        if isinstance(error, Unusable):
            self._standing.unusable = str(error)
        elif isinstance(error, Refused):
            if error.unwelcome:
                raise unwelcome(error)
            self._standing.trouble, wait_s = str(error), error.retry_after_s
        else:
            self._standing.trouble = f"cannot reach Discord: {error}"
            self._standing.reachable = False
        self._show()
        return wait_s

    async def _next(self, rest: Rest, inbox: Inbox) -> asyncio.Future[None] | None:
        """Work off what stands first in line; it leaves the line when that is done.

        Returns:
            A commit to wait for, now or later.
        """
        # Before all else: what is said now would move the watermark past what was missed.
        if asyncio.get_running_loop().time() >= self._catch_up_at:
            await self._catch_up(rest, inbox)
            return None
        first = self._line.first
        if self._intake is None and first.name not in CATCHING_UP:
            await self._look(rest, inbox)
        if self._intake is not None and first.name in SAID:
            return await self._take(self._intake)
        if first.name in CATCHING_UP:
            await self._catch_up(rest, inbox)
            if first.name == OVERFLOW and self._intake is not None:
                await self._intake.report_gap("more happened than could be held at once")
        elif first.name in THREADS:
            await self._learn_threads(rest, first.data, gone=first.name == "THREAD_DELETE")
        elif first.name == "GUILD_CREATE":
            await self._learn_guild(first.data)
        else:
            await self._look(rest, inbox)
        self._line.leave(first)
        return None

    async def _take(self, intake: Intake) -> asyncio.Future[None] | None:
        """Journal the messages, and what is told of messages, that stand first in line."""
        said = self._line.said_first()
        for dispatch in said:
            await intake.find_place(dispatch)
        # Nothing may be awaited between the two: a cancel would lose what has left the line.
        self._line.leave(*said)
        moved = intake.take(said)
        self._standing.wordless = intake.gate.wordless
        return moved

    async def _look(self, rest: Rest, inbox: Inbox) -> None:
        """See how the channel stands now.

        Raises:
            RestError: it could not be told.
            Unusable: a person must act.
        """
        try:
            place = await look_around(rest, self._channel_id)
        except Refused as refusal:
            if refusal.final:
                raise Unusable(no_access(self._channel_id)) from None
            raise
        self._standing.place, self._standing.reachable = place, True
        if place.unusable is not None:
            raise Unusable(place.unusable)
        if self._standing.unusable is not None:
            self._standing.unusable = None
            self._catch_up_at = 0.0  # nobody told us what was said meanwhile
        if self._intake is None:
            allowed, counts = self._standing.allowed, self._context.counts
            gate = Gate(rest.me, allowed, counts, place)
            intake = Intake(rest, gate, inbox, self._outgoing.transactions)
            encoded = await inbox.position()
            if encoded is None:
                await intake.begin()
            else:
                intake.position = Position.decode(encoded)
            self._intake = intake
        self._intake.gate.place = place
        self._show()

    async def _catch_up(self, rest: Rest, inbox: Inbox) -> None:
        """Look around, and journal what the gateway did not tell.

        Raises:
            RestError: it could not be told; what was had is journalled.
            Unusable: a person must act.
        """
        await self._look(rest, inbox)
        assert self._intake is not None
        await self._intake.catch_up(self._line.newest_said())
        self._catch_up_at = asyncio.get_running_loop().time() + CATCH_UP_EVERY_S
        self._standing.caught_up = True
        self._standing.wordless = self._intake.gate.wordless
        self._context.pauses.succeeded()
        self._show()

    async def _learn_guild(self, guild: Mapping[Any, Any]) -> None:
        """Note which channels are not ours, and the active threads that are."""
        if self._intake is not None:
            for raw in (*list_of(guild.get("channels")), *list_of(guild.get("threads"))):
                await self._intake.meet(mapping_of(raw))

    async def _learn_threads(self, rest: Rest, data: Mapping[Any, Any], *, gone: bool) -> None:
        """Note the threads that a dispatch tells of, and join new ones."""
        if self._intake is None:
            return
        if gone:
            self._intake.gate.threads.discard(str(data.get("id")))
            return
        for raw in (data, *list_of(data.get("threads"))):
            thread = mapping_of(raw)
            if await self._intake.meet(thread):
                await self._join(rest, str(thread["id"]))

    async def _join(self, rest: Rest, thread_id: str) -> None:
        try:
            await rest.ask("PUT", "/channels/{channel_id}/thread-members/@me", channel_id=thread_id)
        except RestError as error:  # we hear of public threads all the same
            log.debug("cannot join a thread", reason=str(error), fleetchat_thread_id=thread_id)

    # -- sending ----------------------------------------------------------------------------------

    def mark(self) -> str:
        """Who sends, when, and what was the newest message then."""
        position = None if self._intake is None else self._intake.position
        newest = max(0 if position is None else position.newest, self._outgoing.newest)
        me = None if self._rest is None else self._rest.me
        return Mark(me, time.time(), newest).encode()

    async def send(self, part: OutboundPart) -> SendResult:
        """Send a part under its nonce ("Create Message").

        Discord takes a repeated nonce for the same message for some minutes. After that the
        history is asked first.
        """
        rest, intake = self._ready()
        try:
            if self._outgoing.must_look_up(part, rest.me):
                found = await self.look_up(part)
                if found is not None:
                    return found
            return await self._outgoing.send(rest, part, intake.gate.threads)
        except NoAccess as closed:
            self._standing.unusable = no_access(self._channel_id)
            self._look_again()
            raise SendDeferred(str(closed)) from None
        except Unwelcome as refusal:
            # The gateway may not have noticed; whoever receives does, asking with the same token.
            self._standing.unusable = str(unwelcome(refusal))
            self._look_again()
            raise SendDeferred(str(refusal)) from None

    def _look_again(self) -> None:
        self._catch_up_at = 0.0
        self._news.set()
        self._show()

    def _ready(self) -> tuple[Rest, Intake]:
        """What sending needs; never for a channel that must not be written to."""
        blocked = self._standing.blocked
        if blocked is not None:
            raise SendDeferred(blocked)
        if self._rest is None or self._intake is None:
            raise SendDeferred("not connected to Discord yet")
        return self._rest, self._intake

    async def look_up(self, part: OutboundPart) -> SendResult | None:
        """Look for the part in the history, after its first attempt."""
        rest, intake = self._ready()
        readable = intake.gate.place.readable
        return await self._outgoing.look_up(rest, part, readable=readable)
