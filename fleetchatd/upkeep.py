"""What a running daemon does beside the conversation: it prunes, and shows that it lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from fleetchatd.errors import JournalError
from fleetchatd.journal.base import Journal
from fleetchatd.systemd import Notifier

UPKEEP_S = 10.0
PRUNE_EVERY_S = 3600.0
PRUNE_ROWS = 500

log = structlog.get_logger("fleetchatd.daemon")


async def keep_up(journal: Journal, keep_days: int, show_status: Callable[[], None]) -> None:
    """Every now and then: prune, see whether the journal can be written again, show it.

    Args:
        journal: is pruned.
        keep_days: how long what everybody has acknowledged is kept.
        show_status: shows how the daemon stands now.
    """
    prune_at = time.monotonic() + UPKEEP_S
    while True:
        await asyncio.sleep(UPKEEP_S)
        if journal.error is not None or time.monotonic() >= prune_at:
            prune_at = time.monotonic() + PRUNE_EVERY_S
            await _prune(journal, time.time() - keep_days * 86400)
        show_status()


async def _prune(journal: Journal, older_than: float) -> None:
    try:
        removed = 1
        while removed:
            removed = await journal.prune(older_than, PRUNE_ROWS)
            await asyncio.sleep(0.05)  # let others write between
    except JournalError as error:
        log.warning("cannot prune the journal", reason=str(error))


async def feed_watchdog(journal: Journal, notifier: Notifier, interval_s: float) -> None:
    """Tell systemd that our own loops turn; nothing remote can keep them from that.

    This is one of them. The other is the journal's thread.
    """
    while journal.running:
        notifier.tell("WATCHDOG=1")
        await asyncio.sleep(interval_s)
    log.error("the journal's thread is gone: leaving it to the watchdog to start all anew")
