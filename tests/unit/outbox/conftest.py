"""An outbox over a real journal, before and after a chat is attached to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd.connectors import pauses
from tests.unit.chat import Office
from tests.unit.journal.conftest import Clock
from tests.unit.journal.faulty import FaultyJournal


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "FIRST_S", 0.01)
    monkeypatch.setattr(pauses, "LONGEST_S", 0.05)
    monkeypatch.setattr("fleetchatd.outbox.ends.RESETTLE_S", 0.02)


@pytest.fixture
def endless_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong is not tried again by itself."""
    monkeypatch.setattr(pauses, "FIRST_S", 60.0)
    monkeypatch.setattr(pauses, "LONGEST_S", 60.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def journal(tmp_path: Path, clock: Clock) -> AsyncIterator[FaultyJournal]:
    made = FaultyJournal(tmp_path / "journal.db", clock=clock)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def idle(journal: FaultyJournal, tmp_path: Path) -> AsyncIterator[Office]:
    """An office whose chat is not attached yet."""
    made = Office(journal, tmp_path)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def office(idle: Office) -> Office:
    idle.attach()
    return idle
