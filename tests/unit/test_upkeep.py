"""What a running daemon does beside the conversation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fleetchatd.upkeep import feed_watchdog


async def test_the_watchdog_is_fed_while_the_journals_thread_is_there() -> None:
    journal: Any = SimpleNamespace(running=True)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        journal.running = len(told) < 3

    notifier: Any = SimpleNamespace(tell=tell)
    await feed_watchdog(journal, notifier, 0.001)
    assert told == ["WATCHDOG=1"] * 3
