"""connector -> journal: commit first, then move on.

A batch is on disk, together with the position it was received at, before the connector goes on
from there. While one is being committed, the connector may receive the next; what has come in
meanwhile is committed together.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog

from fleetchatd.journal.base import Journal
from fleetchatd.model import Batch, Event
from fleetchatd.outbox import Outbox

AGAIN_S = 2.0
"""How soon a batch is written again when the journal could not, in seconds."""

LOGGED_SINGLY = 4
"""How many events of one commit get a record each; more share one, as a gap is being filled."""

log = structlog.get_logger("fleetchatd.inbox")


class Inbox:
    """One connector's way into the journal (`connectors.base.Inbox`)."""

    def __init__(self, journal: Journal, outbox: Outbox, target: str) -> None:
        self.counts: Counter[str] = Counter()
        self._journal = journal
        self._outbox = outbox
        self._target = target
        self._waiting: list[tuple[Batch, asyncio.Future[None]]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._failures = 0

    async def position(self) -> str | None:
        """Where receiving stood when the last batch was committed; None on the first start."""
        return self._journal.position(self._target)

    def commit(self, batch: Batch) -> asyncio.Future[None]:
        """Journal `batch`; the future is done once it is on disk. It never fails."""
        for transaction_id, remote_id in batch.confirmations:
            self._outbox.confirm(transaction_id, remote_id)
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, future))
        if self._idle.is_set():
            self._begin()
        return future

    async def until_idle(self) -> None:
        """Wait until nothing is left to commit."""
        await self._idle.wait()

    def _begin(self) -> None:
        self._idle.clear()
        group, self._waiting = self._waiting, []
        self._write(_merged([batch for batch, _ in group]), [future for _, future in group])

    def _write(self, batch: Batch, futures: list[asyncio.Future[None]]) -> None:
        def done(committed: asyncio.Future[None]) -> None:
            error = committed.exception()
            if error is not None:
                self._failed(error, batch, futures)
                return
            self._failures = 0
            self.counts.update(event.type for event in batch.events)
            _log(batch.events)
            for future in futures:
                if not future.done():
                    future.set_result(None)
            if self._waiting:
                self._begin()
            else:
                self._idle.set()

        try:
            committed = self._journal.commit(self._target, batch)
        except Exception as error:  # an event that no connector should make
            self._failed(error, batch, futures)
        else:
            committed.add_done_callback(done)

    def _failed(
        self, error: BaseException, batch: Batch, futures: list[asyncio.Future[None]]
    ) -> None:
        """Try the same batch again: a later one must never move the position past it."""
        self._failures += 1
        if self._failures == 1:
            log.error("cannot journal what was received; trying again", reason=str(error))
        asyncio.get_running_loop().call_later(AGAIN_S, self._write, batch, futures)


def _log(events: Sequence[Event]) -> None:
    """Tell the log what came in; of a gap, whoever found it has told already."""
    known = [event for event in events if event.id is not None]
    if len(known) > LOGGED_SINGLY:
        log.info(
            f"{len(known)} events received",
            fleetchat_connector=known[0].connector,
            first=known[0].id,
            last=known[-1].id,
        )
        return
    for event in known:
        log.info(
            f"{event.type} received",
            fleetchat_message_id=event.id,
            fleetchat_connector=event.connector,
            fleetchat_thread_id=getattr(event, "thread_id", None),
            sender=getattr(event, "sender", None),
        )


def _merged(batches: list[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    positions = [batch.position for batch in batches if batch.position is not None]
    return Batch(
        events=[event for batch in batches for event in batch.events],
        position=positions[-1] if positions else None,
    )
