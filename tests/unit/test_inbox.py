"""Inbox: commit first, then move on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd import inbox as inbox_module
from fleetchatd.errors import JournalError
from fleetchatd.inbox import Inbox
from fleetchatd.model import Batch, State
from tests.unit.chat import Office, receiving
from tests.unit.journal.conftest import Clock, events, ids, said
from tests.unit.journal.faulty import FaultyJournal


@pytest.fixture(autouse=True)
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "AGAIN_S", 0.01)


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[FaultyJournal]:
    made = FaultyJournal(tmp_path / "journal.db", clock=Clock())
    yield made
    await made.close()


@pytest_asyncio.fixture
async def office(journal: FaultyJournal, tmp_path: Path) -> AsyncIterator[Office]:
    made = Office(journal, tmp_path)
    made.attach()
    yield made
    await made.close()


@pytest.fixture
def inbox(journal: FaultyJournal, office: Office) -> Inbox:
    return Inbox(journal, office.outbox, office.chat.target)


async def test_a_batch_is_on_disk_when_its_future_is_done(
    inbox: Inbox, journal: FaultyJournal
) -> None:
    assert await inbox.position() is None
    await inbox.commit(Batch([said("$1")], "p1"))
    assert (ids(events(journal)), await inbox.position()) == (["$1"], "p1")


async def test_batches_are_committed_in_order_and_those_that_wait_together(
    inbox: Inbox, journal: FaultyJournal
) -> None:
    futures = [inbox.commit(Batch([said(f"${n}")], f"p{n}")) for n in range(10)]
    futures.append(inbox.commit(Batch([said("$10")])))
    await asyncio.gather(*futures)
    assert ids(events(journal)) == [f"${n}" for n in range(11)]
    assert await inbox.position() == "p9"


async def test_while_the_journal_cannot_write_the_batch_waits_and_comes_once(
    inbox: Inbox, journal: FaultyJournal
) -> None:
    journal.fail("COMMIT", times=3)
    first = inbox.commit(Batch([said("$1")], "p1"))
    second = inbox.commit(Batch([said("$2")], "p2"))
    await asyncio.gather(first, second)
    assert ids(events(journal)) == ["$1", "$2"]
    assert (journal.last_seq, await inbox.position()) == (2, "p2")


async def test_a_later_batch_never_moves_the_position_past_one_that_waits(
    inbox: Inbox, office: Office, journal: FaultyJournal
) -> None:
    journal.fail("COMMIT", times=10**9)
    first = inbox.commit(Batch([said("$1")], "p1"))
    second = inbox.commit(Batch(position="p2"))
    await office.until("the first failure", lambda: journal.error)
    assert (first.done(), second.done(), await inbox.position()) == (False, False, None)
    journal.fail("nothing", 0)
    await second
    assert first.done()


async def test_a_receiver_that_gave_up_waiting_loses_no_batch(
    inbox: Inbox, journal: FaultyJournal
) -> None:
    journal.fail("COMMIT")
    inbox.commit(Batch([said("$1")], "p1")).cancel()
    inbox.commit(Batch([said("$2")], "p2")).cancel()
    await inbox.commit(Batch([said("$3")], "p3"))
    assert ids(events(journal)) == ["$1", "$2", "$3"]


async def test_a_batch_that_breaks_the_journal_is_tried_again_and_not_forgotten(
    inbox: Inbox, journal: FaultyJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no `JournalError`, and does not come as a future's: still it must not be lost."""
    with monkeypatch.context() as patched:
        patched.setattr(journal, "commit", broken)
        first = inbox.commit(Batch([said("$1")], "p1"))
        second = inbox.commit(Batch([said("$2")], "p2"))
    await asyncio.gather(first, second)
    assert ids(events(journal)) == ["$1", "$2"]


def broken(target: str, batch: Batch) -> asyncio.Future[None]:
    raise JournalError("cannot write: a bug")


async def test_our_own_message_seen_in_the_chat_is_its_confirmation(
    inbox: Inbox, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetchatd.outbox.delivery.ECHO_GRACE_S", 0.01)
    office.chat.gate.clear()
    message = await office.send("hello")
    await office.until("under way", lambda: office.chat.under_way)
    await inbox.commit(Batch(confirmations=[(message.id, "$seen"), ("nobody's", "$x")]))
    assert (await office.final(message)).remote_id == "$seen"


async def test_what_is_said_arrives_with_a_journal_that_fails_now_and_then(
    inbox: Inbox, office: Office, journal: FaultyJournal
) -> None:
    async with receiving(office, inbox):
        for number in range(30):
            if number % 7 == 0:
                journal.fail("COMMIT")
            office.chat.say(str(number))
            await asyncio.sleep(0.002)
        await office.until("all of it", lambda: journal.last_seq >= 30)
    assert [event["text"] for event in events(journal)] == [str(n) for n in range(30)]
    assert inbox.counts["message"] == 30


async def test_a_message_reaches_its_end_while_the_inbox_is_busy(
    inbox: Inbox, office: Office
) -> None:
    async with receiving(office, inbox):
        sent = [await office.send(str(number)) for number in range(20)]
        assert (await office.final(sent[-1])).state is State.DELIVERED
