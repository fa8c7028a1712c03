"""One message on its way out: attempted, part by part, until its end is known.

Before an attempt, the intent is on disk (`begin_attempts`); after it, the outcome is. A crash
between the two leaves a message `sending`, and the next process knows that it may be out.

    queued ──begin_attempts─▶ sending ──answer──────────▶ delivered | failed | unknown
       ▲                        │  ▲
       └──certainly not sent────┘  └── perhaps sent: again, under the same transaction id
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, cast

import structlog

from fleetchatd.connectors.base import Connector, LooksUp
from fleetchatd.connectors.pauses import Pauses
from fleetchatd.errors import (
    JournalError,
    SendAmbiguous,
    SendDeferred,
    SendError,
    SendRefused,
    SendUnknown,
)
from fleetchatd.journal.base import Journal
from fleetchatd.model import Message, OutboundPart, SendResult, State
from fleetchatd.outbox.abilities import looks_up, mark, split
from fleetchatd.outbox.ends import Ends

ECHO_GRACE_S = 2.0
"""How long an answer may come after the message was seen in the room, in seconds."""

log = structlog.get_logger("fleetchatd.outbox")


class Outbox(Protocol):
    """What deliveries and lanes need of the outbox they belong to."""

    journal: Journal
    clock: Callable[[], float]
    stopping: bool
    under_way: dict[str, Delivery]
    slots: asyncio.Semaphore
    ends: Ends

    async def until_sendable(self) -> None:
        """Wait until the connector may be tried."""


class Delivery:
    """Delivers the messages of one thread, one after another.

    Attributes:
        attempting: the outcome of an attempt is open: cancelling would leave it so.
        sent: how many parts went out.

    Args:
        outbox: what it belongs to.
        connector: what sends.
        pauses: between retries.
        troubled: called when the chat does not take a message at once.
    """

    def __init__(
        self,
        outbox: Outbox,
        connector: Connector,
        pauses: Pauses,
        troubled: Callable[[], None],
    ) -> None:
        self.attempting = False
        self.sent = 0
        self._outbox = outbox
        self._connector = connector
        self._pauses = pauses
        self._troubled = troubled
        self._confirmed: str | None = None
        self._deadline: asyncio.Timeout | None = None

    def confirm(self, remote_id: str) -> None:
        """The part under way was seen in the chat."""
        self._confirmed = remote_id
        if self._deadline is not None:  # its answer is on the way, or lost
            when = asyncio.get_running_loop().time() + ECHO_GRACE_S
            if (present := self._deadline.when()) is None or when < present:
                self._deadline.reschedule(when)

    async def run(self, message: Message, *, begun: bool) -> None:
        """Bring one message to its end, part by part.

        Args:
            message: the message.
            begun: its intent is on disk, and nothing was sent yet.
        """
        self.attempting = begun
        earlier = None if begun else message.attempt
        while True:
            part = message.next_part(earlier)
            self._outbox.under_way[part.transaction_id] = self
            try:
                after = await self._attempt(message, part, begun=begun)
            finally:
                del self._outbox.under_way[part.transaction_id]
                self._confirmed = None
            if after is None:
                return
            message, earlier, begun = after, None, False
            if len(message.remote_ids) == len(message.parts):
                self._outbox.ends.settle(message, State.DELIVERED, None, lazy=True)
                return
            await self._until_written(message)

    async def _until_written(self, message: Message) -> None:
        while True:
            try:
                await self._outbox.journal.part_sent(message)
            except JournalError:
                if self._outbox.stopping:
                    return
                await self._pauses.wait()
            else:
                return

    async def _attempt(
        self, message: Message, part: OutboundPart, *, begun: bool
    ) -> Message | None:
        """Send one part, however often that takes; None if it is not to be sent any more."""
        if begun and self._is_over(message):
            self.attempting = False
            self._outbox.ends.settle(message, State.FAILED, "expired", lazy=False)
            return None
        while True:
            if not begun:
                if not await self._until_sendable(message, part):
                    return None
                if self._confirmed is not None:
                    return message.with_remote_id(self._confirmed)
                if self._is_over(message):
                    await self._resolve_expired(message, part)
                    return None
                if (ready := await self._begin(message)) is None:
                    return None
                message, part = ready, ready.next_part(part.earlier_attempt)
            begun = False
            try:
                result = await self._send(message, part)
            except SendRefused as refusal:
                self._outbox.ends.settle(message, State.FAILED, str(refusal), lazy=False)
                return None
            except SendUnknown as doubt:
                self._outbox.ends.settle(message, State.UNKNOWN, str(doubt), lazy=False)
                return None
            except SendDeferred as deferral:
                message = self._give_back(message, part)
                if self._outbox.stopping:
                    return None
                await self._pause(message, deferral, deferral.retry_after_s)
            except SendAmbiguous as doubt:
                part = replace(part, earlier_attempt=message.attempt)
                if self._is_over(message):
                    await self._resolve_expired(message, part)
                    return None
                if self._outbox.stopping:
                    return None
                await self._pause(message, doubt, None)
            else:
                self._pauses.succeeded()
                self.sent += 1
                return message.with_remote_id(result.remote_id)

    async def _until_sendable(self, message: Message, part: OutboundPart) -> bool:
        """Wait for the connector; False at a stop, or once an ambiguous message's time is over."""
        if self._outbox.stopping:
            return False
        doubtful = part.earlier_attempt is not None
        try:
            async with asyncio.timeout(self._seconds_left(message) if doubtful else None):
                await self._outbox.until_sendable()
        except TimeoutError:
            await self._resolve_expired(message, part)
            return False
        return not self._outbox.stopping

    async def _begin(self, message: Message) -> Message | None:
        """Write the intent down; None if the message is not to be sent any more."""
        message = self.bound(message)
        while True:
            self.attempting = True
            try:
                (begun,) = await self._outbox.journal.begin_attempts(
                    [message], mark(self._connector)
                )
            except JournalError as error:
                self.attempting = False
                if self._outbox.stopping:
                    return None
                await self._pause(message, error, None)
                continue
            self.attempting = begun is not None
            return begun

    def bound(self, message: Message) -> Message:
        """The message as this connector sends it: cut anew if another was to."""
        if not message.portable or message.target == self._connector.target:
            return message
        parts = split(self._connector, message.draft)
        return replace(message, target=self._connector.target, parts=parts)

    async def _send(self, message: Message, part: OutboundPart) -> SendResult:
        try:
            return await self._send_in_time(message, part)
        except TimeoutError:
            if self._confirmed is not None:
                return SendResult(self._confirmed)
            raise SendAmbiguous("it took too long") from None
        except SendError:
            raise
        except Exception as error:  # a connector's bug must not stop all the others
            log.exception("the connector broke while sending", fleetchat_message_id=message.id)
            raise SendAmbiguous(f"the connector broke: {type(error).__name__}") from error
        finally:
            self._deadline = None
            self.attempting = False

    async def _send_in_time(self, message: Message, part: OutboundPart) -> SendResult:
        async with self._outbox.slots:
            if self._outbox.stopping:
                raise SendDeferred("stopping")
            async with asyncio.timeout(self._seconds_left(message)) as self._deadline:
                return await self._connector.send(part)

    def _give_back(self, message: Message, part: OutboundPart) -> Message:
        """Note that the attempt sent nothing; what an earlier one did stays open."""
        if part.earlier_attempt is not None:
            return message
        self._outbox.ends.give_back(message, tried=True)
        return replace(message, attempt=None, state=State.QUEUED)

    async def _pause(
        self, message: Message, reason: SendError | JournalError, at_least_s: float | None
    ) -> None:
        self._troubled()
        report = log.info if self._pauses.failures == 0 else log.debug
        report(
            "cannot send yet",
            fleetchat_message_id=message.id,
            reason=str(reason),
            attempts=message.attempts,
        )
        await self._pauses.wait(at_least_s)

    # -- expiry -----------------------------------------------------------------------------

    def _seconds_left(self, message: Message) -> float | None:
        if message.expires_at is None:
            return None
        return max(0.0, message.expires_at - self._outbox.clock())

    def _is_over(self, message: Message) -> bool:
        return message.expires_at is not None and message.expires_at <= self._outbox.clock()

    async def _resolve_expired(self, message: Message, part: OutboundPart) -> None:
        """Find out what an attempt before the expiry did; it is not repeated."""
        if part.earlier_attempt is None:
            self._outbox.ends.settle(message, State.FAILED, "expired", lazy=False)
            return
        result = None
        if looks_up(self._connector):
            try:
                result = await cast("LooksUp", self._connector).look_up(part)
            except Exception as doubt:  # whatever a connector stumbles over
                reason = f"expired, and whether an attempt before that arrived is unknown: {doubt}"
                self._outbox.ends.settle(message, State.UNKNOWN, reason, lazy=False)
                return
            if result is None:
                self._outbox.ends.settle(message, State.FAILED, "expired", lazy=False)
                return
        if result is None:
            reason = "expired, and whether an attempt before that arrived is unknown"
            self._outbox.ends.settle(message, State.UNKNOWN, reason, lazy=False)
            return
        message = message.with_remote_id(result.remote_id)
        whole = len(message.remote_ids) == len(message.parts)
        state, error = (State.DELIVERED, None) if whole else (State.FAILED, "expired")
        self._outbox.ends.settle(message, state, error, lazy=False)
