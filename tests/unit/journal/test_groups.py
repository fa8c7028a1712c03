"""Group commit: what shares a sync, and what becomes of a group that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd.errors import JournalError, StorageFullError
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import Batch, Filter, RedactionEvent, State
from tests.unit.journal.conftest import (
    TARGET,
    Clock,
    Journals,
    accepted,
    commit,
    events,
    ids,
    on_disk,
    said,
    settle,
    take_in,
)
from tests.unit.journal.faulty import FaultyJournal


@pytest_asyncio.fixture
async def faulty(tmp_path: Path, clock: Clock) -> AsyncIterator[FaultyJournal]:
    journal = FaultyJournal(tmp_path / "faulty.db", clock=clock)
    yield journal
    await journal.close()


async def test_results_come_in_the_order_of_the_calls_over_many_groups(
    journal: SqliteJournal,
) -> None:
    order: list[int] = []

    def note(number: int, _: object) -> None:
        order.append(number)

    futures = []
    for number in range(50):
        future = journal.commit(TARGET, Batch([said(f"${number}")]))
        future.add_done_callback(partial(note, number))
        futures.append(future)
        if number % 7 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*futures)
    assert order == list(range(50))
    assert ids(events(journal)) == [f"${number}" for number in range(50)]


async def test_a_write_whose_caller_was_cancelled_happens_all_the_same(
    journals: Journals,
) -> None:
    journals.now.commit(TARGET, Batch([said("$1")])).cancel()
    await commit(journals.now, said("$2"))
    assert ids(events(await journals.reopen())) == ["$1", "$2"]


async def test_a_lazy_write_is_on_disk_when_the_journal_is_closed(journals: Journals) -> None:
    message = await accepted(journals.now, mark="")
    journals.now.settle(
        message, State.FAILED, "no", "memory", lazy=True, done=lambda message, error: None
    )
    found = (await journals.reopen()).message(message.id)
    assert found is not None
    assert found.state is State.FAILED


async def test_an_urgent_write_does_not_wait_for_a_lazy_one(journal: SqliteJournal) -> None:
    message = await accepted(journal, mark="")
    done: list[str] = []
    journal.settle(message, State.FAILED, "no", "m", lazy=True, done=lambda *_: done.append("lazy"))
    began = asyncio.get_running_loop().time()
    await commit(journal, said("$1"))
    assert done == ["lazy"]
    assert asyncio.get_running_loop().time() - began < 5


@pytest.mark.parametrize("statement", ["COMMIT", "INSERT INTO messages", "BEGIN"])
async def test_of_a_group_that_fails_nothing_happened_and_everybody_is_told(
    faulty: FaultyJournal, statement: str
) -> None:
    await commit(faulty, said("$0"), position="p0")
    faulty.fail(statement)
    results = await asyncio.gather(
        commit(faulty, said("$1"), position="p1"),
        take_in(faulty, "lost", key="k"),
        faulty.subscribe("mos", Filter(), from_start=False),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [StorageFullError] * 3
    assert faulty.error is not None
    assert "the disk is full; make room" in faulty.error
    assert (faulty.last_seq, faulty.position(TARGET), ids(events(faulty))) == (1, "p0", ["$0"])
    assert faulty.subscribers() == []
    assert faulty.pending(TARGET, None, 0, 10) == []


async def test_after_a_failed_group_the_next_one_goes_on_without_a_hole(
    faulty: FaultyJournal,
) -> None:
    await commit(faulty, said("$0"))
    first = await accepted(faulty)
    faulty.fail("COMMIT")
    with pytest.raises(StorageFullError):
        await faulty.commit("a new target", Batch([said("$1")], "p"))
    await faulty.commit("a new target", Batch([said("$1")], "p"))
    second = await accepted(faulty, target="a new target")
    assert faulty.error is None
    assert [event["seq"] for event in events(faulty)] == [1, 2]
    assert second.order == first.order + 1
    assert faulty.position("a new target") == "p"
    found = faulty.message(second.id)
    assert found is not None
    assert found.target == "a new target"


async def test_a_log_that_cannot_be_emptied_takes_back_nothing_that_is_committed(
    faulty: FaultyJournal,
) -> None:
    await commit(faulty, said("$1", "a secret"))
    faulty.fail("PRAGMA wal_checkpoint", times=2)
    await commit(faulty, redaction_of("$1"))
    await commit(faulty, said("$2"))
    assert faulty.error is None
    assert [event["seq"] for event in events(faulty)] == [1, 2, 3]
    await commit(faulty, said("$3"))
    assert b"a secret" not in on_disk(faulty)


async def test_a_statement_of_ours_that_breaks_fails_its_group_and_no_other(
    journal: SqliteJournal,
) -> None:
    def broken() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await journal.commits.write(broken)
    await commit(journal, said("$1"))
    assert ids(events(journal)) == ["$1"]


async def test_a_closed_disk_is_an_error_and_not_a_hang(faulty: FaultyJournal) -> None:
    message = await accepted(faulty, mark="")
    faulty.fail("COMMIT", times=3)
    for _ in range(3):
        with pytest.raises(JournalError):
            await settle(faulty, message, State.DELIVERED)
    settled = await settle(faulty, message, State.DELIVERED)
    assert settled is not None
    assert [event["seq"] for event in events(faulty)] == [1]


def redaction_of(target: str) -> RedactionEvent:
    return RedactionEvent(
        id=f"redaction of {target}", time="", connector="memory", sender="ann", target=target
    )
