"""Read receipts: people see what the orchestrator has taken, where the chat can show it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fleetchatd.journal.base import Journal
from fleetchatd.link import Link


class Receipts:
    """What was read, and what of that is shown.

    Args:
        journal: knows the subscribers, and the events behind their numbers.
        orchestrator: the name of the orchestrator's subscriber, by the present roster.
        link: the present one.
    """

    def __init__(
        self, journal: Journal, orchestrator: Callable[[], str], link: Callable[[], Link]
    ) -> None:
        self._journal = journal
        self._orchestrator = orchestrator
        self._link = link
        self._news = asyncio.Event()
        self._seq = 0

    def acknowledged(self, name: str, seq: int) -> None:
        """Note what was read: by the orchestrator's subscriber or, without one, by any."""
        wanted = self._orchestrator()
        if name != wanted and any(one.name == wanted for one in self._journal.subscribers()):
            return
        if seq > self._seq:
            self._seq = seq
            self._news.set()

    async def show(self) -> None:
        """Show what is read from now on, until cancelled."""
        shown = None
        while True:
            await self._news.wait()
            self._news.clear()
            link = self._link()
            event_id = self._journal.last_event_id(self._seq, link.connector.target)
            if event_id is not None and event_id != shown:
                shown = event_id
                await link.mark_read(event_id)
