from __future__ import annotations

import asyncio

from fleetchatd.journal.base import Acceptance
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import Draft, State
from tests.unit.journal.conftest import (
    TARGET,
    Journals,
    accepted,
    events,
    settle,
    take_in,
)


async def test_what_was_accepted_is_there_in_the_next_life(journals: Journals) -> None:
    message = await accepted(
        journals.now, "two parts", parts=("two ", "parts"), thread_id="t", notice=True
    )
    found = (await journals.reopen()).message(message.id)
    assert found == message
    assert found.parts == ("two ", "parts")


async def test_the_same_key_and_body_is_the_same_message(journals: Journals) -> None:
    first = await take_in(journals.now, key="k", notice=True)
    again = await take_in(await journals.reopen(), key="k", notice=True)
    assert (first.created, again.created, again.matches) == (True, False, True)
    assert again.message.id == first.message.id
    assert len(journals.now.pending(TARGET, None, 0, 10)) == 1


async def test_every_field_of_the_body_counts_under_a_key(journal: SqliteJournal) -> None:
    await take_in(journal, "a", key="k")
    others = [
        await take_in(journal, "b", key="k"),
        await take_in(journal, "a", key="k", thread_id="t"),
        await take_in(journal, "a", key="k", reply_to="r"),
        await take_in(journal, "a", key="k", format="plain"),
        await take_in(journal, "a", key="k", notice=True),
        await take_in(journal, "a", key="k", expires_s=5.0),
    ]
    assert [(other.created, other.matches) for other in others] == [(False, False)] * 6


async def test_a_key_twice_in_one_group_is_one_message(journal: SqliteJournal) -> None:
    told: list[Acceptance] = []
    both = asyncio.Event()

    def done(acceptance: Acceptance | None, _: Exception | None) -> None:
        assert acceptance is not None
        told.append(acceptance)
        if len(told) == 2:
            both.set()

    for _ in range(2):
        journal.accept(Draft("x"), key="k", target=TARGET, parts=("x",), mark=None, done=done)
    await both.wait()
    assert [acceptance.created for acceptance in told] == [True, False]
    assert told[0].message.id == told[1].message.id


async def test_a_thread_is_pending_in_the_order_of_acceptance(journal: SqliteJournal) -> None:
    taken = await asyncio.gather(
        *(accepted(journal, str(n), thread_id="ab"[n % 2]) for n in range(20))
    )
    orders = [message.order for message in taken]
    assert orders == sorted(orders)
    assert [m.draft.text for m in journal.pending(TARGET, "a", 0, 100)] == list(
        map(str, range(0, 20, 2))
    )
    assert [m.draft.text for m in journal.pending(TARGET, "b", orders[9], 3)] == ["11", "13", "15"]
    assert set(journal.pending_threads(TARGET)) == {"a", "b"}


async def test_a_message_ends_once_and_says_so_once(journal: SqliteJournal) -> None:
    message = (await accepted(journal, mark="")).with_remote_id("$1")
    assert await settle(journal, message, State.DELIVERED) is not None
    assert await settle(journal, message, State.FAILED, "no") is None
    found = journal.message(message.id)
    assert found is not None
    assert (found.state, found.error, found.remote_id) == (State.DELIVERED, None, "$1")
    assert [(event["id"], event["state"]) for event in events(journal)] == [
        (message.id, "delivered")
    ]


async def test_what_has_ended_is_not_attempted_again(journal: SqliteJournal) -> None:
    message = await accepted(journal)
    await settle(journal, message, State.FAILED, "no")
    assert await journal.begin_attempts([message], "m") == [None]
    await journal.requeue(message, tried=True)
    found = journal.message(message.id)
    assert found is not None
    assert found.state is State.FAILED


async def test_the_first_mark_stands_until_the_attempt_is_known_to_have_sent_nothing(
    journal: SqliteJournal,
) -> None:
    message = await accepted(journal)
    for mark in ("first", "second"):
        begun = (await journal.begin_attempts([message], mark))[0]
        assert begun is not None
        assert begun.attempt == "first"
    assert begun is not None
    assert begun.attempts == 2
    await journal.requeue(message, tried=True)
    begun = (await journal.begin_attempts([message], "third"))[0]
    assert begun is not None
    assert begun.attempt == "third"


async def test_only_what_is_queued_can_be_cancelled(journal: SqliteJournal) -> None:
    queued, under_way = await accepted(journal), await accepted(journal, mark="")
    cancelled = await journal.cancel(queued.id, "memory")
    assert cancelled is not None
    assert (cancelled.state, cancelled.error) == (State.FAILED, "cancelled")
    assert await journal.cancel(queued.id, "memory") is None
    assert await journal.cancel(under_way.id, "memory") is None
    assert await journal.cancel("nobody's", "memory") is None
    assert await journal.begin_attempts([queued], "") == [None]


async def test_only_what_has_failed_can_be_retried_and_goes_on_where_it_stood(
    journal: SqliteJournal,
) -> None:
    message = await accepted(journal, parts=("a", "b"), mark="", expires_s=5.0)
    assert await journal.retry(message.id) is None
    await settle(journal, message.with_remote_id("$a"), State.FAILED, "expired")
    again = await journal.retry(message.id)
    assert again is not None
    assert (again.state, again.error, again.remote_ids) == (State.QUEUED, None, ("$a",))
    assert (again.expires_at, again.attempt) == (None, None)
    assert again.next_part(None).text == "b"
    assert [m.id for m in journal.pending(TARGET, None, 0, 10)] == [message.id]


async def test_another_target_gets_what_nothing_ties_to_the_first(journal: SqliteJournal) -> None:
    await accepted(journal, "free")
    await accepted(journal, "threaded", thread_id="t")
    await accepted(journal, "an answer", reply_to="$x")
    await accepted(journal, "attempted", mark="")
    partly = await accepted(journal, "partly", parts=("pa", "rtly"), mark="")
    await journal.part_sent(partly.with_remote_id("$1"))
    assert [m.draft.text for m in journal.pending("other", None, 0, 9)] == ["free"]
    assert journal.pending_threads("other") == [None]
    counts = journal.outbox_counts("other")
    assert (counts.queued, counts.waiting) == (1, 4)
    assert (journal.outbox_counts(TARGET).queued, journal.outbox_counts(TARGET).waiting) == (5, 0)


async def test_expiry_is_that_of_the_journals_clock(journals: Journals) -> None:
    journal, clock = journals.now, journals.clock
    soon = await accepted(journal, expires_s=5.0)
    await accepted(journal, expires_s=50.0)
    assert journal.next_expiry() == clock.now + 5
    assert journal.expired(clock.now + 4.9, 10) == []
    assert [m.id for m in journal.expired(clock.now + 5, 10)] == [soon.id]
    await settle(journal, soon, State.FAILED, "expired")
    assert journal.next_expiry() == clock.now + 50


async def test_what_was_sent_is_known_by_its_id_in_the_chat(journal: SqliteJournal) -> None:
    assert not journal.is_sent(TARGET, "$1")
    message = (await accepted(journal, "ab", parts=("a", "b"), mark="")).with_remote_id("$1")
    await journal.part_sent(message)
    await settle(journal, message.with_remote_id("$2"), State.DELIVERED)
    assert [journal.is_sent(TARGET, one) for one in ("$1", "$2", "$3")] == [True, True, False]
    assert not journal.is_sent("another", "$1")
