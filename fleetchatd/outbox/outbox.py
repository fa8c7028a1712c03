"""Who sends what: messages are taken in, and go to the lane of their thread.

Each thread has a lane while it has something to send. What is accepted for a thread without one,
while the connector is ready, has its intent written in the same commit as the message itself, so
that a quiet chat costs one commit and not two.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fleetchatd.connectors.base import Connector
from fleetchatd.connectors.pauses import Pauses
from fleetchatd.journal.base import Acceptance, Journal
from fleetchatd.model import Draft, Message
from fleetchatd.outbox.abilities import mark, split
from fleetchatd.outbox.delivery import Delivery
from fleetchatd.outbox.ends import Ends
from fleetchatd.outbox.expiry import Expiry
from fleetchatd.outbox.lane import Lane

AT_ONCE = 8
"""How many threads send at the same time."""


class Outbox:
    """Takes messages in and sees each to a final state.

    Args:
        journal: where they live.
        spawn: starts a task in the daemon's group.
        clock: Unix time in seconds, for expiry.
    """

    def __init__(
        self,
        journal: Journal,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.stopping = False
        self.under_way: dict[str, Delivery] = {}
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.counts: Counter[str] = Counter()
        self.ends = Ends(
            journal, self.counts, kind=lambda: self._kind, stopping=lambda: self.stopping
        )
        self.expiry = Expiry(self)
        self._spawn = spawn
        self._connector: Connector | None = None
        self._pauses = Pauses()
        self._lanes: dict[str | None, Lane] = {}
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self._accepting: Counter[str | None] = Counter()
        self._sendable = asyncio.Event()

    # -- taking in ------------------------------------------------------------------------------

    async def accept(self, draft: Draft, key: str | None, *, watched: bool) -> Acceptance:
        """Take a message in; it is on disk when this returns.

        Args:
            draft: what to send.
            key: the Idempotency-Key, if the client gave one.
            watched: whether `ends.until_final` will be called with it.

        Raises:
            JournalError: it was not taken in.
        """
        assert self._connector is not None
        connector, thread_id = self._connector, draft.thread_id
        accepted: asyncio.Future[Acceptance] = asyncio.get_running_loop().create_future()
        parts = split(connector, draft)
        lane = attempt = None
        quiet = thread_id not in self._lanes and not self._accepting[thread_id]
        if quiet and self._sendable.is_set():
            attempt = mark(connector)
            lane = self._lanes[thread_id] = self._lane(connector, thread_id)
            self.ends.wait_for_one()
        self._accepting[thread_id] += 1

        def done(acceptance: Acceptance | None, error: Exception | None) -> None:
            self._accepting[thread_id] -= 1
            if not self._accepting[thread_id]:
                del self._accepting[thread_id]
            if acceptance is not None and acceptance.created:
                self._taken_in(acceptance.message, lane, watched=watched)
            if lane is not None:
                self._run(lane)
                self.ends.one_written()
            if accepted.done():
                return
            if acceptance is not None:
                accepted.set_result(acceptance)
            elif error is not None:
                accepted.set_exception(error)

        self.journal.accept(
            draft,
            key=key,
            target=connector.target,
            parts=parts,
            mark=attempt,
            done=done,
        )
        return await accepted

    def _taken_in(self, message: Message, reserved: Lane | None, *, watched: bool) -> None:
        self.counts["accepted"] += 1
        if watched:
            self.ends.watch(message)
        if message.expires_at is not None:
            self.expiry.moved()
        if reserved is None:
            self._offer(message)
        elif self.stopping:
            self.ends.give_back(message, tried=False)
        else:
            reserved.start_with(message)

    def _offer(self, message: Message) -> None:
        if self._connector is None or self.stopping:
            return  # it is in the journal: the next connector reads it there
        if message.target != self._connector.target and not message.portable:
            return  # it was accepted for another, and waits for that one
        lane = self._lanes.get(message.draft.thread_id)
        if lane is None:
            lane = self._lanes[message.draft.thread_id] = self._lane(
                self._connector, message.draft.thread_id
            )
            lane.offer(message)
            self._run(lane)
        else:
            lane.offer(message)

    # -- what clients ask for -------------------------------------------------------------------

    async def cancel(self, message_id: str) -> Message | None:
        """Fail a message that is still queued; None if it is not.

        Raises:
            JournalError: it could not be written down.
        """
        message = self.journal.message(message_id)
        if message is not None and (lane := self._lanes.get(message.draft.thread_id)):
            lane.take_back()  # it may have been begun, and not sent
        written = self.journal.cancel(message_id, self._kind)
        written.add_done_callback(_then(self.ends.tell))
        return await asyncio.shield(written)  # a client that goes away takes nothing back

    async def retry(self, message_id: str) -> Message | None:
        """Queue a failed message again; None if it is not failed.

        Raises:
            JournalError: it could not be written down.
        """
        written = self.journal.retry(message_id)
        written.add_done_callback(_then(self._queued_again))
        return await asyncio.shield(written)

    def _queued_again(self, message: Message) -> None:
        if self._connector is not None:
            self._read_again(self._connector, message.draft.thread_id, message.order - 1)

    def _read_again(self, connector: Connector, thread_id: str | None, order: int) -> None:
        lane = self._lanes.get(thread_id)
        if lane is not None:
            lane.read_from(order)
            return
        lane = self._lanes[thread_id] = self._lane(connector, thread_id)
        lane.read_from(order)
        self._run(lane)

    # -- the connector's side -------------------------------------------------------------------

    def attach(self, connector: Connector, pauses: Pauses) -> None:
        """Send through `connector` from now on, beginning with what the journal holds."""
        self.stopping = False
        self._connector, self._pauses = connector, pauses
        self.health_changed()
        for thread_id in self.journal.pending_threads(connector.target):
            self._read_again(connector, thread_id, 0)

    async def detach(self, grace_s: float) -> None:
        """Send no more; attempts under way get `grace_s` seconds to end."""
        self.stopping = True
        self._sendable.clear()
        tasks = dict(self._tasks)
        for lane, task in tasks.items():
            if not lane.attempting:
                task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks.values(), timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks.values())
        self._lanes.clear()
        await self.ends.until_settled()

    def health_changed(self) -> None:
        """Look at the connector's health again: may it be tried?"""
        health = None if self._connector is None else self._connector.health()
        ready = health is not None and health.reachable and health.authenticated
        if health is not None and ready and health.status != "down" and not self.stopping:
            self._sendable.set()
        else:
            self._sendable.clear()

    def confirm(self, transaction_id: str, remote_id: str) -> None:
        """One of our own messages was seen in the chat."""
        delivery = self.under_way.get(transaction_id)
        if delivery is not None:
            delivery.confirm(remote_id)

    async def until_sendable(self) -> None:
        """Wait until the connector may be tried."""
        await self._sendable.wait()

    def _lane(self, connector: Connector, thread_id: str | None) -> Lane:
        return Lane(self, connector, self._pauses, thread_id)

    def _run(self, lane: Lane) -> None:
        if lane.empty or self.stopping:
            if self._lanes.get(lane.thread_id) is lane:
                del self._lanes[lane.thread_id]
            return
        self._tasks[lane] = self._spawn(self._run_lane(lane))

    async def _run_lane(self, lane: Lane) -> None:
        try:
            await lane.run()
        finally:
            del self._tasks[lane]
            if self._lanes.get(lane.thread_id) is lane:
                del self._lanes[lane.thread_id]

    @property
    def target(self) -> str | None:
        """That of the connector in charge; None without one."""
        return None if self._connector is None else self._connector.target

    @property
    def _kind(self) -> str:
        return "" if self._connector is None else self._connector.kind


def _then(tell: Callable[[Message], None]) -> Callable[[asyncio.Future[Message | None]], None]:
    """Tell what came of a write, also when whoever asked for it has gone."""

    def done(written: asyncio.Future[Message | None]) -> None:
        if written.cancelled() or written.exception() is not None:
            return
        if (message := written.result()) is not None:
            tell(message)

    return done
