"""The Discord connector: the gateway in, REST out, and what health can truthfully say.

subscribe:  sign in ─▶ gateway.run ──heard──▶ in line ──▶ worked off (worker.py) ──▶ inbox
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import structlog

from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.connectors.discord import split
from fleetchatd.connectors.discord.budget import Budget
from fleetchatd.connectors.discord.gateway import Gateway
from fleetchatd.connectors.discord.intake import Intake
from fleetchatd.connectors.discord.line import SAID, Dispatch, concerns
from fleetchatd.connectors.discord.outgoing import NoAccess, Outgoing, Unwelcome
from fleetchatd.connectors.discord.place import no_access
from fleetchatd.connectors.discord.position import Mark
from fleetchatd.connectors.discord.raw import KIND
from fleetchatd.connectors.discord.rest import DEFAULT_API_URL, Refused, Rest, Unreachable
from fleetchatd.connectors.discord.settings import SCHEMA, SECRETS
from fleetchatd.connectors.discord.standing import Standing
from fleetchatd.connectors.discord.websocket import Fatal, unwelcome
from fleetchatd.connectors.discord.worker import Worker
from fleetchatd.connectors.network import refuse_elsewhere
from fleetchatd.errors import ElsewhereError, SendDeferred
from fleetchatd.model import ConnectorHealth, Format, OutboundPart, SendResult

log = structlog.get_logger("fleetchatd.connector")


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
        self._worker = Worker(
            self._channel_id, context, self._standing, self._outgoing.transactions, self._show
        )
        self._rest: Rest | None = None

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
        place = self._standing.place
        if not concerns(
            dispatch,
            channel_id=self._channel_id,
            guild_id=None if place is None else place.guild_id,
            me=None if self._rest is None else self._rest.me,
            elsewhere=self._worker.is_elsewhere,
        ):
            return
        if name in ("READY", "RESUMED"):
            self._standing.connected = self._standing.reachable = True
            self._standing.lost = None
            self._standing.caught_up = self._standing.caught_up and name == "RESUMED"
        self._worker.join(dispatch)
        if name not in SAID:
            self._context.pauses.succeeded()  # what could not be used may be usable now
        self._show()

    def acknowledged(self) -> None:
        """Something came: the connection lives."""
        self._standing.last_receive = asyncio.get_running_loop().time()

    def lost(self, reason: str, *, reachable: bool) -> None:
        """The connection to the gateway is gone."""
        self._standing.connected = False
        self._standing.reachable = reachable
        self._standing.lost = reason
        if self._worker.intake is None and self._rest is not None:
            # It may last until tomorrow; by REST one can talk meanwhile.
            self._worker.catch_up_now()
        self._show()

    # -- receiving ------------------------------------------------------------------------------

    async def subscribe(self, inbox: Inbox) -> None:
        """Receive until cancelled, surviving every outage."""
        self._standing.connected = self._standing.caught_up = False
        self._gateway.rewind(*self._worker.begin())
        while True:
            wait_s = None
            try:
                await self._receive(inbox)
            except (Fatal, ElsewhereError) as fatal:
                self._give_up(fatal)
                await asyncio.Event().wait()  # for the reload that makes another connector
            except Unreachable as error:
                self.lost(f"cannot reach Discord: {error}", reachable=False)
            except Refused as refusal:
                self.lost(str(refusal), reachable=refusal.told)
                wait_s = refusal.retry_after_s
            await self._context.pauses.wait(wait_s)

    def _give_up(self, fatal: Fatal | ElsewhereError) -> None:
        log.error("nothing is tried any more until a reload", reason=str(fatal))
        self._standing.fatal = str(fatal)
        self._standing.connected = False
        if isinstance(fatal, Fatal):  # else it was not even asked
            self._standing.reachable = True
            self._standing.signed_in = fatal.authenticated
        self._show()

    async def _receive(self, inbox: Inbox) -> None:
        rest = await self._signed_in()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._gateway.run(rest))
                await self._worker.work(rest, inbox)
        except ExceptionGroup as failures:
            fatal = next((one for one in failures.exceptions if isinstance(one, Fatal)), None)
            raise (fatal or failures.exceptions[0]) from None

    async def _signed_in(self) -> Rest:
        """Show the token; it is shown again only by another connector.

        Raises:
            Fatal: it is refused.
            ElsewhereError: it is another server's.
            RestError: Discord could not be asked.
        """
        if self._rest is None:
            refuse_elsewhere(self._token, KIND, self._api_url)
            try:
                self._rest = await Rest.sign_in(self._api_url, self._token.value)
            except Refused as refusal:
                if refusal.unwelcome:
                    raise unwelcome(refusal) from None
                raise
            self._standing.signed_in = self._standing.reachable = True
            self._show()
        return self._rest

    # -- sending ----------------------------------------------------------------------------------

    def mark(self) -> str:
        """Who sends, when, and what was the newest message then."""
        position = None if self._worker.intake is None else self._worker.intake.position
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
        self._worker.catch_up_now()
        self._show()

    def _ready(self) -> tuple[Rest, Intake]:
        """What sending needs; never for a channel that must not be written to."""
        blocked = self._standing.blocked
        if blocked is not None:
            raise SendDeferred(blocked)
        if self._rest is None or self._worker.intake is None:
            raise SendDeferred("not connected to Discord yet")
        return self._rest, self._worker.intake

    async def look_up(self, part: OutboundPart) -> SendResult | None:
        """Look for the part in the history, after its first attempt."""
        rest, intake = self._ready()
        readable = intake.gate.place.readable
        return await self._outgoing.look_up(rest, part, readable=readable)
