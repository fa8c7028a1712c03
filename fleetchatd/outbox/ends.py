"""How messages end: that is written until it is on disk, and then told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog

from fleetchatd.journal.base import Journal
from fleetchatd.model import Message, State

RESETTLE_S = 2.0
"""How soon the end of a message is written again when the journal could not, in seconds."""

log = structlog.get_logger("fleetchatd.outbox")


class Ends:
    """Brings messages to their ends, and knows who waits for them.

    Args:
        journal: where they are written.
        counts: how many ended in which state is counted here.
        kind: that of the connector that sends; empty without one.
        stopping: whether an end that cannot be written is left to the next process.
    """

    def __init__(
        self,
        journal: Journal,
        counts: Counter[str],
        *,
        kind: Callable[[], str],
        stopping: Callable[[], bool],
    ) -> None:
        self._journal = journal
        self._counts = counts
        self._kind = kind
        self._stopping = stopping
        self._waiters: dict[str, list[asyncio.Future[Message | None]]] = {}
        self._nobody_waits = False
        self._unsettled = 0
        self._all_settled = asyncio.Event()
        self._all_settled.set()

    # -- writing them down --------------------------------------------------------------------

    def settle(self, message: Message, state: State, error: str | None, *, lazy: bool) -> None:
        """Bring a message to its end, and write that again until it is on disk."""
        self.wait_for_one()

        def done(settled: Message | None, failure: Exception | None) -> None:
            if failure is not None and not self._stopping():
                asyncio.get_running_loop().call_later(RESETTLE_S, write, False)
                return
            self.one_written()
            if settled is not None:
                self.tell(settled)

        def write(lazily: bool) -> None:
            self._journal.settle(message, state, error, self._kind(), lazy=lazily, done=done)

        write(lazy and message.id not in self._waiters)

    def give_back(self, message: Message, *, tried: bool = True) -> None:
        """Note that nothing was sent since a message's intent was written.

        If that cannot be written, the message stays `sending`, which is the safe side.
        """
        self.wait_for_one()

        def done(written: asyncio.Future[None]) -> None:
            if not written.cancelled():
                written.exception()
            self.one_written()

        self._journal.requeue(message, tried=tried).add_done_callback(done)

    def wait_for_one(self) -> None:
        """Something is being written that `until_settled` waits for."""
        self._unsettled += 1
        self._all_settled.clear()

    def one_written(self) -> None:
        """That was written, or given up."""
        self._unsettled -= 1
        if not self._unsettled:
            self._all_settled.set()

    async def until_settled(self) -> None:
        """Wait until what was noted so far is on disk."""
        await self._all_settled.wait()

    # -- telling of them ----------------------------------------------------------------------

    def watch(self, message: Message) -> None:
        """Somebody will wait for the end of a new message: it is not written lazily."""
        self._waiters.setdefault(message.id, [])

    async def until_final(self, message: Message, timeout_s: float) -> Message:
        """The message once it is final, or as it stands after `timeout_s` seconds."""
        present = self._journal.message(message.id) or message
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
        return final or self._journal.message(message.id) or message

    def stop_waiting(self) -> None:
        """Let everybody who waits for an end, now or later, go with what is known."""
        self._nobody_waits = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def tell(self, message: Message) -> None:
        """Tell whoever waits, the log and the counters."""
        self._counts[message.state.value] += 1
        report = log.info if message.state is State.DELIVERED else log.warning
        report(
            f"message {message.state.value}",
            fleetchat_message_id=message.id,
            fleetchat_connector=self._kind() or None,
            fleetchat_thread_id=message.draft.thread_id,
            fleetchat_state=message.state.value,
            fleetchat_attempts=message.attempts,
            fleetchat_remote_id=message.remote_id,
            error=message.error,
        )
        for waiter in self._waiters.pop(message.id, ()):
            if not waiter.done():
                waiter.set_result(message)
