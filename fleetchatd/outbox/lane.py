"""One thread's messages on their way out: which comes next.

A lane holds a few in memory and leaves the rest in the journal. While the chat answers at once, the
intents of the next few are written ahead in one commit; when it does not, they are taken back.
"""

from __future__ import annotations

import asyncio
import collections
from dataclasses import replace

import structlog

from fleetchatd.connectors.base import Connector
from fleetchatd.connectors.pauses import Pauses
from fleetchatd.errors import JournalError
from fleetchatd.model import Message, State
from fleetchatd.outbox.abilities import looks_up, mark
from fleetchatd.outbox.delivery import Delivery, Outbox

IN_HAND = 64
"""How many messages of a thread are held in memory; the others wait in the journal."""

AHEAD = 16
"""How many messages have their intent written in one commit while the chat answers at once."""

SLOW_S = 0.5
"""An answer that takes longer, in seconds: what was begun ahead is not begun any more."""

log = structlog.get_logger("fleetchatd.outbox")


class Lane:
    """The messages of one thread that the present connector may send."""

    def __init__(
        self, outbox: Outbox, connector: Connector, pauses: Pauses, thread_id: str | None
    ) -> None:
        self.thread_id = thread_id
        self._outbox = outbox
        self._connector = connector
        self._pauses = pauses
        self._delivery = Delivery(outbox, connector, pauses, self.take_back)
        self._first: Message | None = None
        self._ahead: collections.deque[Message] = collections.deque()
        self._in_hand: collections.deque[Message] = collections.deque()
        self._beginning = False
        self._flowing = False
        self._watched = False
        self._last_order = 0
        self._more = False
        self._again = False

    # -- what is handed to it -------------------------------------------------------------------

    def start_with(self, message: Message) -> None:
        """Attempt this one first; its intent is on disk already."""
        self._first = message
        if not self._more:  # else an older one was retried, and all after it is read again
            self._last_order = message.order

    def offer(self, message: Message) -> None:
        """Take a message that was just accepted, or leave it in the journal for later."""
        if message.order <= self._last_order:
            return  # read from the journal before its acceptance was told
        if self._more or len(self._in_hand) >= IN_HAND:
            self._more = True
            return
        self._in_hand.append(message)
        self._last_order = message.order

    def read_from(self, order: int) -> None:
        """Read the journal again from an earlier place."""
        self.take_back()
        if self._in_hand:
            order = min(order, self._in_hand[0].order - 1)
        self._in_hand.clear()
        self._last_order = min(self._last_order, order)
        self._more = self._again = True

    def take_back(self) -> None:
        """Begin nothing ahead: what was, and was not sent, is queued again."""
        self._flowing = False
        while self._ahead:
            message = self._ahead.pop()
            self._outbox.ends.give_back(message, tried=False)
            again = replace(
                message, attempt=None, attempts=message.attempts - 1, state=State.QUEUED
            )
            self._in_hand.appendleft(again)

    @property
    def empty(self) -> bool:
        """Whether nothing is left for it to do."""
        return not (self._first or self._ahead or self._in_hand or self._more)

    @property
    def attempting(self) -> bool:
        """Whether intents are on disk whose outcome is open: cancelling would leave them so."""
        return bool(self._first or self._ahead) or self._beginning or self._delivery.attempting

    # -- working it off -------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until nothing is left; what has begun goes back to the journal at a stop."""
        try:
            await self._run()
        finally:  # cancelled, it leaves what has begun to the lane that comes after it
            self._ahead.clear()

    async def _run(self) -> None:
        while self._first or self._ahead or not (self.empty or self._outbox.stopping):
            if self._first is not None:
                message, self._first = self._first, None
                await self._deliver(message, begun=True)
            elif self._ahead:
                await self._deliver(self._ahead.popleft(), begun=True)
            elif not self._in_hand:
                await self._read_more()
            elif not self._flowing or not await self._begin_ahead():
                await self._deliver(self._in_hand.popleft(), begun=False)

    async def _begin_ahead(self) -> bool:
        """Write the intents of the next few in one commit; False if one by one is the way.

        It is where nobody could tell after a crash which of them were sent.
        """
        if not looks_up(self._connector):
            return False
        fresh: list[Message] = []
        while self._in_hand and len(fresh) < AHEAD and _is_fresh(self._in_hand[0]):
            fresh.append(self._delivery.bound(self._in_hand.popleft()))
        if len(fresh) > 1:
            self._beginning = True
            try:
                attempt = mark(self._connector)
                begun = await self._outbox.journal.begin_attempts(fresh, attempt)
            except JournalError as error:
                log.info("cannot begin yet", reason=str(error))
            else:
                self._ahead.extend(message for message in begun if message is not None)
                self._watch()
                return True
            finally:
                self._beginning = False
        self._in_hand.extendleft(reversed(fresh))
        return False

    async def _deliver(self, message: Message, *, begun: bool) -> None:
        sent = self._delivery.sent
        await self._delivery.run(message, begun=begun)
        self._flowing = self._delivery.sent > sent

    def _watch(self) -> None:
        """Look after a while whether the chat still answers at once."""
        if not self._watched:
            self._watched = True
            asyncio.get_running_loop().call_later(SLOW_S, self._look, self._delivery.sent)

    def _look(self, sent_before: int) -> None:
        """Take back what was begun ahead if nothing was sent since."""
        self._watched = False
        if self._ahead and self._delivery.sent == sent_before:
            self.take_back()
        elif self._ahead:
            self._watch()

    async def _read_more(self) -> None:
        if self._again:  # what has ended would be read once more if that were not on disk
            self._again = False
            await self._outbox.ends.until_settled()
        try:
            found = self._outbox.journal.pending(
                self._connector.target, self.thread_id, self._last_order, IN_HAND
            )
        except JournalError as error:
            log.error("cannot read what is to be sent; trying again", reason=str(error))
            await self._pauses.wait()
            return
        self._more = len(found) == IN_HAND
        self._in_hand.extend(found)
        if found:
            self._last_order = found[-1].order


def _is_fresh(message: Message) -> bool:
    """Whether no part of it was ever attempted."""
    return message.attempt is None and not message.remote_ids
