"""The XMPP connector. The archive is what is received; a live message merely rings the bell."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import structlog
from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.errors import ConfigError, SendAmbiguous, SendDeferred, SendRefused, SendUnknown
from fleetchatd.model import (
    Batch,
    ConnectorHealth,
    Format,
    GapEvent,
    OutboundPart,
    SendResult,
    rfc3339,
)
from slixmpp import JID, InvalidJID

from fleetchatd_connector_xmpp.guide import XmppGuide
from fleetchatd_connector_xmpp.session import Forgotten, Page, Refused, Session, Trouble
from fleetchatd_connector_xmpp.settings import KIND, SCHEMA, SECRETS
from fleetchatd_connector_xmpp.stanzas import Entry, split

QUIET_S = 30.0
"""After so many seconds of silence the archive is asked all the same: a dead connection shows."""

NOT_RECEIVING = ConnectorHealth("degraded", False, False, False, "not receiving")

log = structlog.get_logger("fleetchatd.connector")


class XmppConnector:
    """One room, as one account."""

    kind: ClassVar[str] = KIND
    settings_schema: ClassVar[Mapping[str, Any]] = SCHEMA
    secrets: ClassVar[Sequence[str]] = SECRETS
    guide: ClassVar[XmppGuide] = XmppGuide()

    def __init__(self, settings: Mapping[str, Any], context: Context) -> None:
        self._settings = settings
        self._context = context
        self._password = context.secret(SECRETS[0]).value
        self._me = JID(settings["jid"]).bare
        self._allowed = {JID(one).bare for one in settings.get("allowed_senders", ())}
        self._session: Session | None = None
        self._seen = ""
        self._health = NOT_RECEIVING

    @classmethod
    def create(cls, settings: Mapping[str, Any], context: Context) -> Self:
        """Make one from its block in the roster; opens no connection."""
        try:
            return cls(settings, context)
        except InvalidJID as error:
            raise ConfigError(f"cannot use connector.xmpp: {error}; correct the address") from None

    @property
    def target(self) -> str:
        """The account and the room."""
        return f"{KIND} {self._me} {JID(self._settings['room']).bare}"

    def health(self) -> ConnectorHealth:
        """What it can truthfully say of itself now."""
        return self._health

    def _show(self, health: ConnectorHealth) -> None:
        before, self._health = self._health, health
        if not health.same_as(before):
            self._context.health_changed()

    async def close(self) -> None:
        """Leave the room."""
        if self._session is not None:
            await self._session.close()

    # -- receiving

    async def subscribe(self, inbox: Inbox) -> None:
        """Receive until cancelled, surviving every outage."""
        if self._session is None:
            self._session = Session(self._settings, self._password, self._context.orchestrator)
        try:
            while True:
                try:
                    await self._receive(self._session, inbox)
                except Trouble as trouble:
                    await self._session.close()
                    self._show(_troubled(trouble))
                    await self._context.pauses.wait()
        finally:
            self._show(NOT_RECEIVING)

    async def _receive(self, session: Session, inbox: Inbox) -> None:
        if not session.joined:
            await session.log_in()
            await session.look()
            await session.join()
        position = await inbox.position()
        if position is None:  # the first contact ever: what was said before is not for us
            position = await session.newest()
            await inbox.commit(Batch(position=position))
        self._seen = position
        while True:
            session.rung.clear()
            try:
                page = await session.page(self._seen)
            except Forgotten:
                await inbox.commit(Batch([_gap()], position=""))
                self._seen = ""
                continue
            # Events and position go to disk together: killed before or after, none is lost.
            await inbox.commit(self._batch(page))
            self._seen = page.last
            self._context.pauses.succeeded()
            now = asyncio.get_running_loop().time()
            self._show(ConnectorHealth("ok", True, True, True, last_receive=now))
            if page.complete:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(QUIET_S):
                        await session.rung.wait()

    def _batch(self, page: Page) -> Batch:
        own = [(entry.message_id, entry.id) for entry in page.entries if entry.sender == self._me]
        events = [entry.event() for entry in page.entries if self._may_speak(entry)]
        return Batch(events, page.last, own)

    def _may_speak(self, entry: Entry) -> bool:
        if entry.sender == self._me:
            return False
        if entry.sender is not None and (not self._allowed or entry.sender in self._allowed):
            return True
        self._context.counts["refused_senders"] += 1
        log.warning("somebody spoke who may not", sender=entry.sender)
        return False

    # -- sending

    async def send(self, part: OutboundPart) -> SendResult:
        """Say one part; the room shows it to us, too, with its id in the archive.

        Raises:
            SendError: what became of it.
        """
        session = self._joined()
        if part.earlier_attempt is not None and (found := await self.look_up(part)):
            return found
        draft = part.message.draft
        try:
            remote_id = await session.say(
                part.text, part.transaction_id, draft.thread_id, draft.reply_to
            )
        except Refused as refusal:
            raise (SendDeferred if refusal.passing else SendRefused)(str(refusal)) from None
        except Trouble as trouble:
            raise SendAmbiguous(str(trouble)) from None
        self._context.pauses.succeeded()
        return SendResult(remote_id)

    def split(self, text: str, text_format: Format) -> tuple[str, ...]:
        """`text` in parts that each fit a stanza, losslessly."""
        return tuple(split(text))

    def mark(self) -> str:
        """The place in the archive behind which an attempt made now would be found."""
        return self._seen

    async def look_up(self, part: OutboundPart) -> SendResult | None:
        """The part's id in the archive, None if it is not there.

        Raises:
            SendDeferred: it cannot be told now.
            SendUnknown: the archive does not reach back so far any more.
        """
        session, after, complete = self._joined(), part.earlier_attempt or "", False
        try:
            while not complete:
                entries, after, complete = await session.page(after)
                for entry in entries:
                    if (entry.sender, entry.message_id) == (self._me, part.transaction_id):
                        return SendResult(entry.id)
        except Forgotten:
            raise SendUnknown("the archive no longer tells whether it arrived") from None
        except Trouble as trouble:
            raise SendDeferred(str(trouble)) from None
        return None

    def _joined(self) -> Session:
        if self._session is None or not self._session.joined:
            raise SendDeferred(self._health.detail or "not in the room")
        return self._session


def _troubled(trouble: Trouble) -> ConnectorHealth:
    if trouble.remedy is None:
        return ConnectorHealth("degraded", False, False, False, str(trouble))
    return ConnectorHealth("down", True, trouble.about not in SECRETS, False, str(trouble))


def _gap() -> GapEvent:
    detail = "the room's archive does not reach back to where we were"
    return GapEvent(time=rfc3339(time.time()), connector=KIND, detail=detail)
