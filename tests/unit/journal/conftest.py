"""Journals of the tests, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from fleetchatd.journal.base import Acceptance
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import Batch, Draft, Filter, Message, MessageEvent, State

TARGET = "the chat"
EVERYTHING = Filter()


class Clock:
    """Unix time that moves when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Journals:
    """The journal of one file, over several lives.

    Attributes:
        now: the one that is open.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock
        self.now: SqliteJournal
        self._open: list[SqliteJournal] = []

    def open(self) -> SqliteJournal:
        self.now = SqliteJournal(self.path, clock=self.clock)
        self._open.append(self.now)
        return self.now

    async def reopen(self) -> SqliteJournal:
        await self.close()
        return self.open()

    async def close(self) -> None:
        while self._open:
            await self._open.pop().close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def journals(tmp_path: Path, clock: Clock) -> AsyncIterator[Journals]:
    made = Journals(tmp_path / "journal.db", clock)
    made.open()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def journal(journals: Journals) -> SqliteJournal:
    return journals.now


def said(event_id: str, text: str = "", **fields: Any) -> MessageEvent:
    return MessageEvent(
        id=event_id,
        time="2026-11-22T13:00:00.000Z",
        connector="memory",
        sender=fields.pop("sender", "ann"),
        sender_name="Ann",
        text=text or f"text of {event_id}",
        **fields,
    )


def commit(
    journal: SqliteJournal, *events: Any, position: str | None = None
) -> asyncio.Future[None]:
    return journal.commit(TARGET, Batch(events, position))


def take_in(
    journal: SqliteJournal,
    text: str = "hello",
    *,
    key: str | None = None,
    mark: str | None = None,
    parts: Sequence[str] | None = None,
    target: str = TARGET,
    **draft: Any,
) -> asyncio.Future[Acceptance]:
    """Accept a message; done once it is on disk."""
    future: asyncio.Future[Acceptance] = asyncio.get_running_loop().create_future()

    def done(acceptance: Acceptance | None, error: Exception | None) -> None:
        if acceptance is None:
            assert error is not None
            future.set_exception(error)
        else:
            future.set_result(acceptance)

    journal.accept(
        Draft(text, **draft), key=key, target=target, parts=parts or (text,), mark=mark, done=done
    )
    return future


async def accepted(journal: SqliteJournal, text: str = "hello", **how: Any) -> Message:
    return (await take_in(journal, text, **how)).message


async def settle(
    journal: SqliteJournal, message: Message, state: State, error: str | None = None
) -> Message | None:
    """Bring a message to its end; None if it had one."""
    future: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()

    def done(settled: Message | None, failure: Exception | None) -> None:
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(settled)

    journal.settle(message, state, error, "memory", lazy=False, done=done)
    return await future


def events(journal: SqliteJournal, after: int = 0, wanted: Filter = EVERYTHING) -> list[Any]:
    """Every event after `after`, page by page."""
    found: list[Any] = []
    while True:
        page = journal.events_after(after, wanted, 10_000)
        found += [orjson.loads(line) for line in page.lines.splitlines()]
        if page.last_seq <= after:
            return found
        after = page.last_seq


def ids(found: Sequence[Any]) -> list[str]:
    return [event["id"] for event in found]


def on_disk(journal: SqliteJournal) -> bytes:
    """Every byte that the journal has on the disk."""
    folder = Path(journal.path).parent
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
