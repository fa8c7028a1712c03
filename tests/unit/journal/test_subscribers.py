"""Who reads, how far they are, and what may be forgotten."""

from __future__ import annotations

import pytest

from fleetchatd.journal.base import Subscriber
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import Filter, GapEvent, ReactionEvent, State
from tests.unit.journal.conftest import (
    EVERYTHING,
    Clock,
    Journals,
    accepted,
    commit,
    events,
    ids,
    said,
    settle,
    take_in,
)

DAY_S = 86400.0


def only(journal: SqliteJournal) -> Subscriber:
    (subscriber,) = journal.subscribers()
    return subscriber


async def test_a_new_subscriber_begins_at_the_end_or_at_the_oldest(journal: SqliteJournal) -> None:
    await commit(journal, said("$1"), said("$2"))
    assert await journal.subscribe("late", EVERYTHING, from_start=False) == 2
    assert await journal.subscribe("early", EVERYTHING, from_start=True) == 0


async def test_from_the_start_of_an_empty_journal_is_its_beginning(journal: SqliteJournal) -> None:
    assert await journal.subscribe("mos", EVERYTHING, from_start=True) == 0
    assert only(journal).lag == 0


async def test_an_acknowledged_position_survives_and_never_goes_back(journals: Journals) -> None:
    await commit(journals.now, said("$1"), said("$2"), said("$3"))
    await journals.now.subscribe("mos", EVERYTHING, from_start=True)
    assert await journals.now.acknowledge("mos", 2) == 2
    assert await journals.now.acknowledge("mos", 1) == 2
    journal = await journals.reopen()
    assert await journal.subscribe("mos", EVERYTHING, from_start=True) == 2
    assert only(journal) == Subscriber("mos", 2, 1, 0.0)


async def test_nobody_unknown_acknowledges_or_is_forgotten(journal: SqliteJournal) -> None:
    assert await journal.acknowledge("mos", 0) is None
    assert await journal.unsubscribe("mos") is False
    await journal.subscribe("mos", EVERYTHING, from_start=False)
    assert await journal.unsubscribe("mos") is True
    assert journal.subscribers() == []


async def test_lag_and_age_count_only_what_matches_the_filter(journals: Journals) -> None:
    journal, clock = journals.now, journals.clock
    reactions = Filter(types=frozenset({"reaction"}))
    await journal.subscribe("all", EVERYTHING, from_start=False)
    await journal.subscribe("some", reactions, from_start=False)
    await commit(journal, said("$1"))
    clock.now += 10
    await commit(
        journal, ReactionEvent(id="$2", time="", connector="m", sender="a", target="$1", key="+")
    )
    clock.now += 5
    await commit(journal, said("$3"))
    assert list(journal.subscribers()) == [
        Subscriber("all", 0, 3, 15.0),
        Subscriber("some", 0, 1, 5.0),
    ]
    await journal.acknowledge("some", 2)
    await journal.acknowledge("all", 1)
    assert list(journal.subscribers()) == [
        Subscriber("all", 1, 2, 5.0),
        Subscriber("some", 2, 0, None),
    ]


async def test_pruning_takes_what_is_old_and_acknowledged_by_all(journals: Journals) -> None:
    journal, clock = journals.now, journals.clock
    await journal.subscribe("quick", EVERYTHING, from_start=False)
    await journal.subscribe("slow", EVERYTHING, from_start=False)
    await commit(journal, *(said(f"${number}") for number in range(1, 6)))
    clock.now += 10 * DAY_S
    await commit(journal, said("$6"), said("$7"))
    await journal.acknowledge("quick", 7)
    await journal.acknowledge("slow", 3)
    assert await journal.prune(clock.now - DAY_S, 100) == 3
    assert ids(events(await journals.reopen(), 3)) == ["$4", "$5", "$6", "$7"]
    await journals.now.acknowledge("slow", 7)
    assert await journals.now.prune(clock.now - DAY_S, 100) == 2
    assert await journals.now.prune(clock.now - DAY_S, 100) == 0


async def test_pruning_goes_in_steps(journal: SqliteJournal, clock: Clock) -> None:
    await commit(journal, *(said(f"${number}") for number in range(10)))
    clock.now += DAY_S
    steps = [await journal.prune(clock.now, 4) for _ in range(4)]
    assert steps == [4, 4, 1, 0]  # the newest stays


async def test_from_the_start_of_a_pruned_journal_lags_by_what_is_kept(
    journal: SqliteJournal, clock: Clock
) -> None:
    await commit(journal, *(said(f"${number}") for number in range(10)))
    clock.now += DAY_S
    await journal.prune(clock.now, 7)
    await journal.subscribe("mos", EVERYTHING, from_start=True)
    assert only(journal) == Subscriber("mos", 7, 3, DAY_S)


@pytest.mark.parametrize("pruned", [False, True])
async def test_numbers_are_never_used_again(journals: Journals, pruned: bool) -> None:
    journal, clock = journals.now, journals.clock
    await commit(journal, said("$1"), said("$2"))
    first = await accepted(journal)
    await settle(journal, first, State.FAILED, "no")
    if pruned:
        clock.now += DAY_S
        await journal.prune(clock.now, 100)
    journal = await journals.reopen()
    await commit(journal, GapEvent(time="", connector="m", detail=""))
    second = await accepted(journal)
    assert (journal.last_seq, second.order) == (4, first.order + 1)


async def test_pruning_keeps_what_is_still_to_be_sent_and_keys_that_are_young(
    journals: Journals,
) -> None:
    journal, clock = journals.now, journals.clock
    waiting = await accepted(journal, "waiting", key="w")
    ended = await accepted(journal, "ended", key="e")
    await settle(journal, ended, State.FAILED, "no")
    clock.now += 40 * DAY_S
    young = await accepted(journal, "young", key="y")
    await settle(journal, young, State.FAILED, "no")
    last = await accepted(journal, "last")
    await settle(journal, last, State.FAILED, "no")
    await journal.prune(clock.now - 30 * DAY_S, 100)
    assert journal.message(waiting.id) is not None
    assert journal.message(ended.id) is None
    assert not (await take_in(journal, "young", key="y")).created
    assert (await take_in(journal, "ended", key="e")).created
