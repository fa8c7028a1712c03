"""The end of messages that nobody wants any more once their time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from fleetchatd.errors import JournalError
from fleetchatd.journal.base import Journal
from fleetchatd.model import Message, State
from fleetchatd.outbox.delivery import Delivery
from fleetchatd.outbox.ends import Ends

UNREADABLE_S = 2.0
"""How soon a journal that could not be read is looked at again, in seconds."""

_NOBODY_KNOWS = "expired, and only the connector of then could tell whether an attempt arrived"

log = structlog.get_logger("fleetchatd.outbox")


class Outbox(Protocol):
    """What expiry needs of the outbox."""

    journal: Journal
    clock: Callable[[], float]
    under_way: dict[str, Delivery]
    ends: Ends

    @property
    def target(self) -> str | None:
        """That of the connector in charge; None without one."""


class Expiry:
    """Ends messages when they expire."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._moved = asyncio.Event()

    def moved(self) -> None:
        """The next message to expire may be another one now."""
        self._moved.set()

    async def run(self) -> None:
        """End messages whose time is over, until cancelled."""
        while True:
            try:
                await self._next()
            except JournalError as error:
                log.error("cannot see what expires; trying again", reason=str(error))
                await asyncio.sleep(UNREADABLE_S)

    async def _next(self) -> None:
        self._moved.clear()
        when = self._outbox.journal.next_expiry()
        try:
            wait_s = None if when is None else max(0.0, when - self._outbox.clock())
            async with asyncio.timeout(wait_s):
                await self._moved.wait()
        except TimeoutError:
            await self._end_due()

    async def _end_due(self) -> None:
        due = self._outbox.journal.expired(self._outbox.clock(), 100)
        for message in due:
            self._end(message)
        await self._outbox.ends.until_settled()
        if due:
            await asyncio.sleep(1.0)  # those left to their lanes come up again

    def _end(self, message: Message) -> None:
        outbox = self._outbox
        delivery = outbox.under_way.get(message.next_part(None).transaction_id)
        if message.attempt is None and (delivery is None or not delivery.attempting):
            outbox.ends.settle(message, State.FAILED, "expired", lazy=False)
        elif outbox.target not in (None, message.target):
            outbox.ends.settle(message, State.UNKNOWN, _NOBODY_KNOWS, lazy=False)
        # What was attempted here is resolved by its lane, which may know more of it.
