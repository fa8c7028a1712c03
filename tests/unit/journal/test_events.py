"""Events: once each, in order, to whoever reads, from wherever it reads."""

from __future__ import annotations

import asyncio

import pytest

from fleetchatd.journal import tail
from fleetchatd.journal.sqlite import SqliteJournal, history, inbound, outbound, rows
from fleetchatd.model import Batch, DeliveryEvent, EditEvent, Filter, GapEvent, ReactionEvent, State
from tests.unit.journal.conftest import (
    EVERYTHING,
    TARGET,
    Journals,
    accepted,
    commit,
    events,
    ids,
    said,
    settle,
)


async def test_events_and_position_survive_together(journals: Journals) -> None:
    await commit(journals.now, said("$1"), said("$2"), position="p2")
    journal = await journals.reopen()
    assert (ids(events(journal)), journal.position(TARGET)) == (["$1", "$2"], "p2")
    assert journal.position("another") is None


async def test_a_batch_without_a_position_leaves_it_where_it_was(journal: SqliteJournal) -> None:
    await commit(journal, position="p1")
    await commit(journal, said("$1"))
    assert journal.position(TARGET) == "p1"


async def test_what_comes_twice_is_there_once_in_one_batch_and_over_lives(
    journals: Journals,
) -> None:
    await commit(journals.now, said("$1"), said("$1"), said("$2"))
    await commit(await journals.reopen(), said("$2"), said("$3"), said("$1"))
    assert ids(events(journals.now)) == ["$1", "$2", "$3"]
    assert [event["seq"] for event in events(journals.now)] == [1, 2, 3]


async def test_the_same_id_from_another_place_is_another_event(journal: SqliteJournal) -> None:
    await commit(journal, said("$1"))
    await journal.commit("another", Batch([said("$1")]))
    assert ids(events(journal)) == ["$1", "$1"]


async def test_colliding_hashes_confuse_nobody(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (rows, history, inbound, outbound):
        monkeypatch.setattr(module, "hash_id", lambda target, event_id: 7)
    await commit(journal, said("$1", thread_id="a"), said("$2", thread_id="b"))
    await commit(journal, said("$2"), said("$3", thread_id="b"))
    assert ids(events(journal)) == ["$1", "$2", "$3"]
    in_thread = journal.history(limit=10, before=None, thread_id="b", direction=None)
    older = journal.history(limit=10, before="$2", thread_id=None, direction=None)
    assert (ids(in_thread or []), ids(older or [])) == (["$3", "$2"], ["$1"])
    assert journal.last_event_id(3, TARGET) == "$3"


async def test_the_daemons_own_events_are_never_taken_for_repetitions(
    journal: SqliteJournal,
) -> None:
    gap = GapEvent(time="", connector="memory", detail="lost")
    delivery = DeliveryEvent(
        id="m1", time="", connector="memory", state=State.FAILED, remote_id=None, error="no"
    )
    await commit(journal, gap, delivery)
    await commit(journal, gap, delivery)
    assert [event["type"] for event in events(journal)] == ["gap", "delivery", "gap", "delivery"]


async def test_half_a_surrogate_pair_keeps_nothing_behind_it_out(journal: SqliteJournal) -> None:
    await commit(journal, said("$1\udc00", "a\ud800b", sender="\udfff"), said("$2"))
    found = events(journal)
    assert [event["text"] for event in found] == ["a�b", "text of $2"]


@pytest.mark.parametrize("reopened", [False, True])
async def test_filters_select_types_and_classes_of_messages(
    journals: Journals, reopened: bool
) -> None:
    await commit(
        journals.now,
        said("$1"),
        said("$2", event_class="actionable"),
        ReactionEvent(id="$3", time="", connector="m", sender="a", target="$1", key="+"),
        EditEvent(id="$4", time="", connector="m", sender="ann", target="$1", text="x"),
        said("$5", event_class="terminal-log"),
    )
    journal = await journals.reopen() if reopened else journals.now

    def selected(types: str | None, classes: str | None) -> list[str]:
        wanted = Filter(
            frozenset(types.split(",")) if types else None,
            frozenset(classes.split(",")) if classes else None,
        )
        return ids(events(journal, 0, wanted))

    assert selected(None, None) == ["$1", "$2", "$3", "$4", "$5"]
    assert selected("message", None) == ["$1", "$2", "$5"]
    assert selected("message,edit", "human") == ["$1", "$4"]
    assert selected(None, "human,actionable") == ["$1", "$2", "$3", "$4"]
    assert selected("delivery", None) == []
    assert ids(events(journal, 0, Filter(types=frozenset()))) == []


async def test_a_reader_gets_the_same_from_memory_and_from_disk(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "MAX_BYTES", 4000)
    monkeypatch.setattr(tail, "_TRIM_AT", 5000)
    journal = journals.now
    for number in range(120):
        await commit(journal, said(f"${number}", "x" * (number * 7 % 300)))
    whole = events(journal)
    assert ids(whole) == [f"${number}" for number in range(120)]
    for after in (0, 1, 60, 100, 110, 118, 119, 120):
        assert events(journal, after) == whole[after:]
    assert events(await journals.reopen()) == whole


async def test_a_page_makes_progress_however_small_it_must_be(journal: SqliteJournal) -> None:
    await commit(journal, said("$1", "x" * 5000), said("$2", "y" * 5000))
    page = journal.events_after(0, EVERYTHING, 1)
    assert page.last_seq == 1
    assert page.lines.count(b"\n") == 1


async def test_whoever_waits_is_woken_by_the_next_event_and_those_gone_do_not_pile_up(
    journal: SqliteJournal,
) -> None:
    waiting = journal.changed()
    for _ in range(10_000):
        journal.changed().cancel()
        assert len(journal.tail._waiting) <= 64
    await commit(journal, position="p")
    assert not waiting.done()
    await commit(journal, said("$1"))
    assert waiting.done()


async def test_an_event_is_seen_only_once_it_is_on_disk(journal: SqliteJournal) -> None:
    written = journal.commit(TARGET, Batch([said("$1")]))
    await asyncio.sleep(0)
    assert (journal.last_seq, events(journal)) == (0, [])
    await written
    assert ids(events(journal)) == ["$1"]


async def test_history_is_in_the_order_things_happened_here(journal: SqliteJournal) -> None:
    await commit(journal, said("$1"))
    one = await accepted(journal, "one")
    two = await accepted(journal, "two", thread_id="t")
    await commit(journal, said("$2", thread_id="t"), said("$3"))
    three = await accepted(journal, "three")
    await settle(journal, one.with_remote_id("$r"), State.DELIVERED)
    await commit(journal, said("$4"))
    newest_first = ["$4", three.id, "$3", "$2", two.id, one.id, "$1"]

    def history(**how: object) -> list[str] | None:
        asked = {"limit": 10, "before": None, "thread_id": None, "direction": None} | how
        found = journal.history(**asked)  # type: ignore[arg-type]
        return None if found is None else ids(found)

    assert history() == newest_first
    for index, item in enumerate(newest_first):
        assert history(before=item) == newest_first[index + 1 :]
        assert history(before=item, limit=2) == newest_first[index + 1 : index + 3]
    assert history(direction="in") == ["$4", "$3", "$2", "$1"]
    assert history(direction="out") == [three.id, two.id, one.id]
    assert history(direction="in", before=three.id) == ["$3", "$2", "$1"]
    assert history(direction="out", before="$2") == [two.id, one.id]
    assert history(thread_id="t") == ["$2", two.id]
    assert history(thread_id="t", before="$2") == [two.id]
    assert history(before="nobody's") is None


async def test_the_newest_message_of_a_place_is_found_for_a_read_receipt(
    journal: SqliteJournal,
) -> None:
    await commit(journal, said("$1"), said("$2"))
    await journal.commit("another", Batch([said("$3")]))
    await commit(journal, GapEvent(time="", connector="m", detail=""))
    assert journal.last_event_id(4, TARGET) == "$2"
    assert journal.last_event_id(1, TARGET) == "$1"
    assert journal.last_event_id(4, "another") == "$3"
    assert journal.last_event_id(2, "another") is None
