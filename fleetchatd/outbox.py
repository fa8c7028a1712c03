"""journal -> connector: who sends what, and who is told of its end.

Each thread has a lane (lane.py) while it has something to send. What is accepted for a thread
without one, while the connector is ready, has its intent written in the same commit as the
message itself, so that a quiet chat costs one commit and not two.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from fleetchatd.connectors.base import Connector
from fleetchatd.connectors.pauses import Pauses
from fleetchatd.delivery import Delivery, mark, split
from fleetchatd.errors import JournalError
from fleetchatd.journal.base import Acceptance, Journal
from fleetchatd.lane import Lane
from fleetchatd.model import Draft, Message, State

AT_ONCE = 8
"""How many threads send at the same time."""

RESETTLE_S = 2.0
"""How soon the end of a message is written again when the journal could not, in seconds."""

_NOBODY_KNOWS = "expired, and only the connector of then could tell whether an attempt arrived"

log = structlog.get_logger("fleetchatd.outbox")


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
        self._spawn = spawn
        self._connector: Connector | None = None
        self._pauses = Pauses()
        self._lanes: dict[str | None, Lane] = {}
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self._accepting: Counter[str | None] = Counter()
        self._sendable = asyncio.Event()
        self._waiters: dict[str, list[asyncio.Future[Message | None]]] = {}
        self._nobody_waits = False
        self._unsettled = 0
        self._all_settled = asyncio.Event()
        self._all_settled.set()
        self._expiry_moved = asyncio.Event()

    # -- taking in ------------------------------------------------------------------------------

    async def accept(self, draft: Draft, key: str | None, *, watched: bool) -> Acceptance:
        """Take a message in; it is on disk when this returns.

        Args:
            draft: what to send.
            key: the Idempotency-Key, if the client gave one.
            watched: whether `until_final` will be called with it.

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
            self._wait_for_one()
        self._accepting[thread_id] += 1

        def done(acceptance: Acceptance | None, error: Exception | None) -> None:
            self._accepting[thread_id] -= 1
            if not self._accepting[thread_id]:
                del self._accepting[thread_id]
            if acceptance is not None and acceptance.created:
                self._taken_in(acceptance.message, lane, watched=watched)
            if lane is not None:
                self._run(lane)
                self._one_written()
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
            self._waiters.setdefault(message.id, [])
        if message.expires_at is not None:
            self._expiry_moved.set()
        if reserved is None:
            self._offer(message)
        elif self.stopping:
            self.give_back(message, tried=False)
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

    async def until_final(self, message: Message, timeout_s: float) -> Message:
        """The message once it is final, or as it stands after `timeout_s` seconds."""
        present = self.journal.message(message.id) or message
        if present.state.final or self._nobody_waits:
            self._waiters.pop(message.id, None)
            return present
        waiter: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(message.id, [])
        waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                final = await waiter
        except TimeoutError:
            final = None
        finally:
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters:
                self._waiters.pop(message.id, None)
        return final or self.journal.message(message.id) or message

    def stop_waiting(self) -> None:
        """Let everybody who waits for an end, now or later, go with what is known."""
        self._nobody_waits = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def cancel(self, message_id: str) -> Message | None:
        """Fail a message that is still queued; None if it is not.

        Raises:
            JournalError: it could not be written down.
        """
        message = self.journal.message(message_id)
        if message is not None and (lane := self._lanes.get(message.draft.thread_id)):
            lane.take_back()  # it may have been begun, and not sent
        written = self.journal.cancel(message_id, self._kind)
        written.add_done_callback(_then(self._told))
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
        await self.until_settled()

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

    # -- the end of a message ---------------------------------------------------------------

    @property
    def _kind(self) -> str:
        return "" if self._connector is None else self._connector.kind

    def settle(self, message: Message, state: State, error: str | None, *, lazy: bool) -> None:
        """Bring a message to its end, and write that again until it is on disk."""
        self._wait_for_one()

        def done(settled: Message | None, failure: Exception | None) -> None:
            if failure is not None and not self.stopping:
                asyncio.get_running_loop().call_later(RESETTLE_S, write, False)
                return
            self._one_written()
            if settled is not None:
                self._told(settled)

        def write(lazily: bool) -> None:
            self.journal.settle(message, state, error, self._kind, lazy=lazily, done=done)

        write(lazy and message.id not in self._waiters)

    def give_back(self, message: Message, *, tried: bool = True) -> None:
        """Note that nothing was sent since a message's intent was written.

        If that cannot be written, the message stays `sending`, which is the safe side.
        """
        self._wait_for_one()

        def done(written: asyncio.Future[None]) -> None:
            if not written.cancelled():
                written.exception()
            self._one_written()

        self.journal.requeue(message, tried=tried).add_done_callback(done)

    def _wait_for_one(self) -> None:
        self._unsettled += 1
        self._all_settled.clear()

    def _one_written(self) -> None:
        self._unsettled -= 1
        if not self._unsettled:
            self._all_settled.set()

    async def until_settled(self) -> None:
        """Wait until what was noted so far is on disk."""
        await self._all_settled.wait()

    def _told(self, message: Message) -> None:
        """Tell whoever waits, the log and the counters."""
        self.counts[message.state.value] += 1
        report = log.info if message.state is State.DELIVERED else log.warning
        report(
            f"message {message.state.value}",
            fleetchat_message_id=message.id,
            fleetchat_connector=self._kind or None,
            fleetchat_thread_id=message.draft.thread_id,
            fleetchat_state=message.state.value,
            fleetchat_attempts=message.attempts,
            fleetchat_remote_id=message.remote_id,
            error=message.error,
        )
        for waiter in self._waiters.pop(message.id, ()):
            if not waiter.done():
                waiter.set_result(message)

    # -- expiry -----------------------------------------------------------------------------

    async def expire(self) -> None:
        """End messages whose time is over, until cancelled."""
        while True:
            try:
                await self._expire_next()
            except JournalError as error:
                log.error("cannot see what expires; trying again", reason=str(error))
                await asyncio.sleep(RESETTLE_S)

    async def _expire_next(self) -> None:
        self._expiry_moved.clear()
        when = self.journal.next_expiry()
        try:
            wait_s = None if when is None else max(0.0, when - self.clock())
            async with asyncio.timeout(wait_s):
                await self._expiry_moved.wait()
        except TimeoutError:
            await self._expire_due()

    async def _expire_due(self) -> None:
        due = self.journal.expired(self.clock(), 100)
        for message in due:
            delivery = self.under_way.get(message.next_part(None).transaction_id)
            if message.attempt is None and (delivery is None or not delivery.attempting):
                self.settle(message, State.FAILED, "expired", lazy=False)
            elif self._connector is not None and message.target != self._connector.target:
                self.settle(message, State.UNKNOWN, _NOBODY_KNOWS, lazy=False)
            # What was attempted here is resolved by its lane, which may know more of it.
        await self.until_settled()
        if due:
            await asyncio.sleep(1.0)  # those left to their lanes come up again


def _then(tell: Callable[[Message], None]) -> Callable[[asyncio.Future[Message | None]], None]:
    """Tell what came of a write, also when whoever asked for it has gone."""

    def done(written: asyncio.Future[Message | None]) -> None:
        if written.cancelled() or written.exception() is not None:
            return
        if (message := written.result()) is not None:
            tell(message)

    return done
