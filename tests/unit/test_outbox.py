"""Outbox and lanes: order, retry, one attempt at a time per thread, switching, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fleetchatd.connectors import pauses
from fleetchatd.errors import (
    SendAmbiguous,
    SendDeferred,
    SendRefused,
    SendUnknown,
    StorageFullError,
)
from fleetchatd.lane import IN_HAND
from fleetchatd.model import Draft, Message, State
from tests.unit.chat import Chat, KnowingChat, Office
from tests.unit.journal.conftest import Clock, events
from tests.unit.journal.faulty import FaultyJournal


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "FIRST_S", 0.01)
    monkeypatch.setattr(pauses, "LONGEST_S", 0.05)
    monkeypatch.setattr("fleetchatd.outbox.RESETTLE_S", 0.02)


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


# -- order ----------------------------------------------------------------------------------------


async def test_messages_of_a_thread_go_out_in_the_order_of_acceptance(office: Office) -> None:
    sent = await asyncio.gather(
        *(office.send(str(number), thread_id="ab"[number % 2]) for number in range(100))
    )
    for message in sent:
        assert (await office.final(message)).state is State.DELIVERED
    for thread in "ab":
        texts = [part.text for part in office.chat.sent if part.message.draft.thread_id == thread]
        assert texts == [str(number) for number in range(100) if "ab"[number % 2] == thread]


async def test_more_messages_than_a_lane_holds_all_go_out_once_and_in_order(
    office: Office,
) -> None:
    office.chat.gate.clear()
    count = 3 * IN_HAND + 7
    sent = [await office.send(str(number)) for number in range(count)]
    office.chat.gate.set()
    await office.final(sent[-1])
    assert office.chat.texts == [str(number) for number in range(count)]
    assert len(office.chat.tried) == count


async def test_a_thread_that_is_held_up_holds_up_no_other(office: Office) -> None:
    office.chat.held["slow"] = asyncio.Event()
    slow = await office.send("slow", thread_id="a")
    quick = await office.send("quick", thread_id="b")
    assert (await office.final(quick)).state is State.DELIVERED
    assert office.look(slow).state is State.SENDING
    office.chat.held["slow"].set()
    await office.final(slow)


async def test_what_is_accepted_while_an_outage_ends_keeps_its_order(office: Office) -> None:
    """The first is still being committed, without an attempt, as the connector comes back."""
    office.chat.reachable = False
    office.outbox.health_changed()
    first = asyncio.ensure_future(office.send("first"))  # noqa: TID251 - to meet it half-way
    await asyncio.sleep(0)
    office.chat.reachable = True
    office.outbox.health_changed()
    second = await office.send("second")
    await office.final(await first)
    await office.final(second)
    assert office.chat.texts == ["first", "second"]


async def test_a_refused_message_does_not_hold_up_those_behind_it(office: Office) -> None:
    office.chat.gate.clear()
    office.chat.fail_next(SendRefused("M_TOO_LARGE: no"))
    bad, good = await office.send("bad"), await office.send("good")
    office.chat.gate.set()
    refused = await office.final(bad)
    assert (refused.state, refused.error) == (State.FAILED, "M_TOO_LARGE: no")
    assert (await office.final(good)).state is State.DELIVERED


async def test_one_attempt_at_a_time_in_a_thread(office: Office) -> None:
    office.chat.gate.clear()
    sent = [await office.send(str(number)) for number in range(5)]
    await office.until("one under way", lambda: office.chat.under_way)
    assert office.chat.under_way == 1
    assert [office.look(message).state for message in sent] == [State.SENDING] + [State.QUEUED] * 4
    office.chat.gate.set()
    await office.final(sent[-1])


# -- retry ----------------------------------------------------------------------------------------


async def test_an_ambiguous_send_is_repeated_under_its_transaction_id_and_seen_once(
    office: Office,
) -> None:
    office.chat.fail_next(SendAmbiguous("the answer was lost"), arrived=True)
    office.chat.fail_next(SendAmbiguous("again"))
    message = await office.send("hello")
    done = await office.final(message)
    assert (done.state, done.attempts) == (State.DELIVERED, 3)
    assert office.chat.tried == [(message.id, False), (message.id, True), (message.id, True)]
    assert office.chat.texts == ["hello"]


async def test_an_ambiguous_message_stays_under_way_and_cannot_be_cancelled(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "FIRST_S", 60.0)
    monkeypatch.setattr(pauses, "LONGEST_S", 60.0)
    office.chat.fail_next(SendAmbiguous("lost"))
    message = await office.send("hello")
    await office.until("the attempt", lambda: office.context.pauses.failures)
    assert office.look(message).state is State.SENDING
    assert await office.outbox.cancel(message.id) is None


async def test_a_deferred_message_is_queued_again_and_can_be_cancelled(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "FIRST_S", 60.0)
    monkeypatch.setattr(pauses, "LONGEST_S", 60.0)
    office.chat.fail_next(SendDeferred("slow down"))
    message = await office.send("hello")
    await office.state(message, State.QUEUED)
    cancelled = await office.outbox.cancel(message.id)
    assert cancelled is not None
    assert (cancelled.state, cancelled.error) == (State.FAILED, "cancelled")
    office.context.pauses.succeeded()
    behind = await office.send("behind")
    await office.final(behind)
    assert office.chat.texts == ["behind"]


async def test_a_deferral_after_an_ambiguous_attempt_does_not_make_it_certain(
    office: Office,
) -> None:
    office.chat.fail_next(SendAmbiguous("lost"), arrived=True)
    office.chat.fail_next(SendDeferred("slow down"))
    message = await office.send("hello")
    await office.final(message)
    assert office.chat.tried == [(message.id, False), (message.id, True), (message.id, True)]


async def test_an_unknown_outcome_is_final_and_not_repeated(office: Office) -> None:
    office.chat.fail_next(SendUnknown("it crashed while typing"))
    message = await office.send("hello")
    done = await office.final(message)
    assert (done.state, done.error) == (State.UNKNOWN, "it crashed while typing")
    assert len(office.chat.tried) == 1


async def test_a_connector_that_breaks_stops_nobody_else(office: Office) -> None:
    office.chat.fail_next(ValueError("a bug"), arrived=True)
    office.chat.fail_next(TimeoutError())
    message = await office.send("hello")
    assert (await office.final(message)).state is State.DELIVERED
    assert office.chat.texts == ["hello"]
    assert office.chat.tried[1] == (message.id, True)


async def test_a_failed_message_goes_out_when_it_is_retried_before_what_waits_behind(
    office: Office,
) -> None:
    office.chat.fail_next(SendRefused("no"))
    failed = await office.final(await office.send("failed"))
    office.chat.gate.clear()
    others = [await office.send(text) for text in ("one", "two", "three")]
    again = await office.outbox.retry(failed.id)
    assert again is not None
    assert again.state is State.QUEUED
    office.chat.gate.set()
    await office.final(others[-1])
    assert office.chat.texts == ["one", "failed", "two", "three"]
    assert len(office.chat.tried) == 5


async def test_a_retry_while_another_message_is_being_accepted_is_not_forgotten(
    office: Office,
) -> None:
    office.chat.fail_next(SendRefused("no"))
    failed = await office.final(await office.send("failed"))
    retried = asyncio.ensure_future(office.outbox.retry(failed.id))  # noqa: TID251
    other = asyncio.ensure_future(office.send("other"))  # noqa: TID251 - both in one commit
    await asyncio.gather(other, retried)
    await office.state(failed, State.DELIVERED)
    await office.final(await other)
    assert sorted(office.chat.texts) == ["failed", "other"]


@pytest.mark.parametrize("what", ["retry", "cancel"])
async def test_a_client_that_goes_away_takes_nothing_back(office: Office, what: str) -> None:
    if what == "retry":
        office.chat.fail_next(SendRefused("no"))
        message = await office.final(await office.send("again"))
        asked = asyncio.ensure_future(office.outbox.retry(message.id))  # noqa: TID251
    else:
        office.chat.reachable = False
        office.outbox.health_changed()
        message = await office.send("never")
        waiting = asyncio.ensure_future(office.outbox.until_final(message, 20))  # noqa: TID251
        await asyncio.sleep(0)
        asked = asyncio.ensure_future(office.outbox.cancel(message.id))  # noqa: TID251
    await asyncio.sleep(0)
    asked.cancel()
    if what == "retry":
        await office.until("delivered", lambda: office.look(message).state is State.DELIVERED)
    else:
        assert (await asyncio.wait_for(waiting, 5)).error == "cancelled"


async def test_what_was_confirmed_in_the_chat_needs_no_answer(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetchatd.delivery.ECHO_GRACE_S", 0.01)
    office.chat.gate.clear()
    message = await office.send("hello")
    await office.until("under way", lambda: office.chat.under_way)
    office.outbox.confirm(message.id, "$seen")
    done = await office.final(message)
    assert (done.state, done.remote_id) == (State.DELIVERED, "$seen")


# -- parts ----------------------------------------------------------------------------------------


async def test_parts_go_out_in_order_under_ids_of_their_own(office: Office) -> None:
    office.chat.longest = 3
    office.chat.fail_next(SendAmbiguous("lost"), arrived=True)
    message = await office.send("abcdefgh")
    done = await office.final(message)
    assert office.chat.texts == ["abc", "def", "gh"]
    assert done.remote_ids == tuple(
        f"memory-sent-{name}" for name in (message.id, f"{message.id}.1", f"{message.id}.2")
    )
    assert office.chat.tried[1:3] == [(message.id, True), (f"{message.id}.1", False)]


async def test_a_part_that_is_refused_fails_the_message_and_lists_what_got_out(
    office: Office,
) -> None:
    office.chat.longest = 3
    office.chat.faulty["def"] = SendRefused("no")
    message = await office.send("abcdef")
    done = await office.final(message)
    assert (done.state, done.remote_ids) == (State.FAILED, (f"memory-sent-{message.id}",))
    await office.outbox.retry(message.id)
    await office.until("delivered", lambda: office.look(message).state is State.DELIVERED)
    assert office.chat.texts == ["abc", "def"]


# -- expiry ---------------------------------------------------------------------------------------


async def test_what_was_not_attempted_in_time_fails_as_expired(
    office: Office, clock: Clock
) -> None:
    office.chat.reachable = False
    office.outbox.health_changed()
    message = await office.send("late", expires_s=5.0)
    clock.now += 6
    office.spawn(office.outbox.expire())
    done = await office.final(message)
    assert (done.state, done.error) == (State.FAILED, "expired")
    office.chat.reachable = True
    office.outbox.health_changed()
    await office.final(await office.send("in time"))
    assert office.chat.texts == ["in time"]


async def test_what_expired_while_the_daemon_was_away_is_not_sent_by_the_next(
    idle: Office, clock: Clock
) -> None:
    idle.attach()
    idle.chat.reachable = False
    idle.outbox.health_changed()
    message = await idle.send("late", expires_s=5.0)
    await idle.outbox.detach(0)
    clock.now += 6
    idle.chat.reachable = True
    idle.attach()
    done = await idle.final(message)
    assert (done.state, done.error, idle.chat.texts) == (State.FAILED, "expired", [])


async def test_what_expires_in_a_pause_is_not_sent_after_it(office: Office, clock: Clock) -> None:
    office.chat.gate.clear()
    office.chat.fail_next(SendDeferred("later", retry_after_s=0.05))
    message = await office.send("late", expires_s=500.0)
    await office.until("under way", lambda: office.chat.under_way)
    clock.now += 501
    office.chat.gate.set()
    done = await office.final(message)
    assert (done.state, done.error) == (State.FAILED, "expired")
    assert len(office.chat.tried) == 1


@pytest.mark.parametrize(
    ("out", "state", "error"),
    [
        ({"id": "$1"}, State.DELIVERED, None),
        ({}, State.FAILED, "expired"),
        (None, State.UNKNOWN, "expired, and whether an attempt before that arrived is unknown"),
    ],
)
async def test_what_expires_in_doubt_is_looked_up(
    office: Office, clock: Clock, out: dict[str, str] | None, state: State, error: str | None
) -> None:
    await office.switch(chat := KnowingChat(office.context))
    chat.gate.clear()
    chat.fail_next(SendAmbiguous("lost"))
    message = await office.send("late", expires_s=500.0)
    await office.until("under way", lambda: chat.under_way)
    chat.out = out if out is None else dict.fromkeys([message.id][: len(out)], "$1")
    clock.now += 501
    chat.gate.set()
    done = await office.final(message)
    assert done.state is state
    assert error is None or (done.error or "").startswith(error)
    assert len(chat.tried) == 1


async def test_what_expires_in_doubt_is_unknown_where_nothing_can_be_looked_up(
    office: Office, clock: Clock
) -> None:
    office.chat.gate.clear()
    office.chat.fail_next(SendAmbiguous("lost"))
    message = await office.send("late", expires_s=500.0)
    await office.until("under way", lambda: office.chat.under_way)
    clock.now += 501
    office.chat.gate.set()
    assert (await office.final(message)).state is State.UNKNOWN


async def test_what_expires_in_doubt_and_belongs_to_another_connector_is_unknown(
    office: Office, clock: Clock
) -> None:
    office.chat.gate.clear()
    message = await office.send("late", expires_s=500.0)
    await office.until("under way", lambda: office.chat.under_way)
    await office.outbox.detach(0)
    office.attach(Chat(office.context, "another"))
    clock.now += 501
    office.spawn(office.outbox.expire())
    assert (await office.final(message)).state is State.UNKNOWN
    assert office.chat.tried == []


# -- waiting --------------------------------------------------------------------------------------


async def test_waiting_ends_with_the_message(office: Office) -> None:
    office.chat.gate.clear()
    acceptance = await office.outbox.accept(Draft("hello"), None, watched=True)
    waiting = asyncio.ensure_future(  # noqa: TID251 - to meet it half-way
        office.outbox.until_final(acceptance.message, 20)
    )
    await office.until("under way", lambda: office.chat.under_way)
    office.chat.gate.set()
    assert (await waiting).state is State.DELIVERED


async def test_waiting_ends_with_its_time_and_shows_what_is_known(office: Office) -> None:
    office.chat.gate.clear()
    message = await office.send("hello")
    assert (await office.outbox.until_final(message, 0.01)).state is State.SENDING


async def test_a_repeated_key_waits_for_the_first_ones_end(office: Office) -> None:
    office.chat.gate.clear()
    await office.accept("hello", key="k")
    again = await office.accept("hello", key="k")
    assert not again.created
    waiting = asyncio.ensure_future(  # noqa: TID251 - to meet it half-way
        office.outbox.until_final(again.message, 20)
    )
    office.chat.gate.set()
    assert (await waiting).state is State.DELIVERED
    assert office.chat.texts == ["hello"]


# -- the journal fails ----------------------------------------------------------------------------


async def test_what_could_not_be_taken_in_is_not_sent(
    office: Office, journal: FaultyJournal
) -> None:
    journal.fail("COMMIT")
    with pytest.raises(StorageFullError):
        await office.send("lost")
    kept = await office.send("kept")
    await office.final(kept)
    assert office.chat.texts == ["kept"]


async def test_an_end_that_could_not_be_written_is_written_later_and_sent_once(
    office: Office, journal: FaultyJournal
) -> None:
    office.chat.gate.clear()
    message = await office.send("hello")
    await office.until("under way", lambda: office.chat.under_way)
    journal.fail("COMMIT", times=2)
    office.chat.gate.set()
    assert (await office.final(message)).state is State.DELIVERED
    assert office.chat.texts == ["hello"]
    assert [event["type"] for event in events(journal)] == ["delivery"]


async def test_nothing_is_attempted_before_the_intent_is_on_disk(
    office: Office, journal: FaultyJournal
) -> None:
    office.chat.gate.clear()
    await office.send("first")
    second = await office.send("second")
    await office.until("under way", lambda: office.chat.under_way)
    journal.fail("UPDATE messages SET state", times=3)
    office.chat.gate.set()
    await office.final(second)
    assert office.chat.texts == ["first", "second"]


async def test_a_split_that_breaks_blocks_nobody_behind_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Chat, "split", broken_split)
        with pytest.raises(ValueError, match="a bug"):
            await office.send("bad")
    good = await office.send("good")
    assert (await office.final(good)).state is State.DELIVERED


def broken_split(chat: Chat, text: str, text_format: str) -> tuple[str, ...]:
    raise ValueError("a bug")


# -- stopping and switching -----------------------------------------------------------------------


async def test_a_stop_lets_the_attempt_under_way_end_and_begins_no_other(office: Office) -> None:
    office.chat.gate.clear()
    first, second = await office.send("first"), await office.send("second")
    await office.until("under way", lambda: office.chat.under_way)
    stopping = asyncio.ensure_future(office.outbox.detach(20))  # noqa: TID251
    await asyncio.sleep(0)
    office.chat.gate.set()
    await asyncio.wait_for(stopping, 5)
    assert office.look(first).state is State.DELIVERED
    assert office.look(second).state is State.QUEUED
    assert office.chat.texts == ["first"]


async def test_a_stop_between_two_parts_does_not_wait_for_its_grace(office: Office) -> None:
    office.chat.longest = 3
    office.chat.gate.clear()
    message = await office.send("abcdef")
    await office.until("under way", lambda: office.chat.under_way)
    stopping = asyncio.ensure_future(office.outbox.detach(60))  # noqa: TID251
    await asyncio.sleep(0)
    office.chat.gate.set()
    await asyncio.wait_for(stopping, 5)
    found = office.look(message)
    assert (found.remote_ids, found.attempt) == ((f"memory-sent-{message.id}",), None)
    office.attach()
    await office.final(message)
    assert office.chat.texts == ["abc", "def"]


async def test_an_attempt_that_outlasts_the_grace_is_repeated_by_the_next(office: Office) -> None:
    office.chat.gate.clear()
    message = await office.send("hello")
    await office.until("under way", lambda: office.chat.under_way)
    await office.outbox.detach(0.01)
    assert office.look(message).state is State.SENDING
    office.chat.gate.set()
    office.attach()
    await office.final(message)
    assert office.chat.tried == [(message.id, False), (message.id, True)]


async def test_a_stop_before_the_first_attempt_begins_gives_the_message_back(
    office: Office,
) -> None:
    accepting = asyncio.ensure_future(office.send("hello"))  # noqa: TID251
    await asyncio.sleep(0)
    await office.outbox.detach(1.0)
    message = await accepting
    found = office.look(message)
    assert (found.state, found.attempt, office.chat.tried) == (State.QUEUED, None, [])


async def test_messages_that_wait_for_a_slot_go_back_at_a_stop(office: Office) -> None:
    office.chat.gate.clear()
    sent = [await office.send(str(number), thread_id=str(number)) for number in range(20)]
    await office.until("all slots", lambda: office.chat.under_way == 8)
    stopping = asyncio.ensure_future(office.outbox.detach(60))  # noqa: TID251
    await asyncio.sleep(0)
    office.chat.gate.set()
    await asyncio.wait_for(stopping, 5)
    states = [office.look(message).state for message in sent]
    assert states == [State.DELIVERED] * 8 + [State.QUEUED] * 12


async def unattached(office: Office, *drafts: tuple[str, dict[str, Any]]) -> list[Message]:
    """Messages that the first chat could not send."""
    office.chat.reachable = False
    office.outbox.health_changed()
    return [await office.send(text, **draft) for text, draft in drafts]


async def test_what_was_never_attempted_goes_out_elsewhere_cut_anew(office: Office) -> None:
    message, threaded, answer = await unattached(
        office, ("abcdefgh", {}), ("threaded", {"thread_id": "t"}), ("re", {"reply_to": "$1"})
    )
    other = Chat(office.context, "another")
    other.longest = 5
    first = office.chat
    await office.switch(other)
    done = await office.final(message)
    assert (done.state, done.target, done.parts) == (State.DELIVERED, "another", ("abcde", "fgh"))
    assert other.texts == ["abcde", "fgh"]
    counts = office.journal.outbox_counts("another")
    assert (counts.queued, counts.waiting) == (0, 2)
    first.reachable = True
    await office.switch(first)
    await office.final(threaded)
    await office.final(answer)
    assert sorted(first.texts) == ["re", "threaded"]


async def test_what_was_attempted_waits_for_the_connector_it_was_attempted_on(
    office: Office,
) -> None:
    first = office.chat
    first.gate.clear()
    attempted = await office.send("attempted")
    behind = await office.send("behind")
    await office.until("under way", lambda: first.under_way)
    await office.outbox.detach(0)
    office.attach(other := Chat(office.context, "another"))
    await office.final(behind)
    assert other.texts == ["behind"]
    assert office.look(attempted).state is State.SENDING
    assert office.journal.outbox_counts("another").waiting == 1
    first.gate.set()
    await office.switch(first)
    await office.final(attempted)
    assert first.tried == [(attempted.id, False), (attempted.id, True)]


async def test_what_is_accepted_during_a_switch_goes_where_it_belongs(office: Office) -> None:
    """Committed as the first chat's while the second is being attached."""
    first, other = office.chat, Chat(office.context, "another")
    await office.outbox.detach(0)
    free = asyncio.ensure_future(office.send("free"))  # noqa: TID251 - to meet it half-way
    tied = asyncio.ensure_future(office.send("tied", thread_id="t"))  # noqa: TID251
    await asyncio.sleep(0)
    office.attach(other)
    await office.final(await free)
    await office.until("both on disk", tied.done)
    assert (other.texts, first.texts) == (["free"], [])
    assert office.look(await tied).state is State.QUEUED
    assert office.journal.outbox_counts("another").waiting == 1


async def test_a_deferred_message_is_free_for_another_connector(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "FIRST_S", 60.0)
    monkeypatch.setattr(pauses, "LONGEST_S", 60.0)
    office.chat.fail_next(SendDeferred("slow down"))
    message = await office.send("hello")
    await office.until("deferred", lambda: office.context.pauses.failures)
    await office.switch(Chat(office.context, "another"))
    assert (await office.final(message)).target == "another"


async def test_intents_are_written_ahead_while_the_chat_answers_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    begin = FaultyJournal.begin_attempts

    def counted(self: FaultyJournal, messages: Any, mark: str) -> Any:
        groups.append(len(messages))
        return begin(self, messages, mark)

    monkeypatch.setattr(FaultyJournal, "begin_attempts", counted)
    await office.switch(KnowingChat(office.context))
    office.chat.gate.clear()
    sent = [await office.send(f"m{number}") for number in range(20)]
    office.chat.gate.set()
    for message in sent:
        assert (await office.final(message)).state is State.DELIVERED
    assert [part.text for part in office.chat.sent] == [f"m{number}" for number in range(20)]
    assert max(groups) > 1
    assert len(groups) < 10


async def test_what_was_begun_ahead_is_queued_again_when_the_chat_no_longer_answers(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetchatd.lane.SLOW_S", 0.02)
    await office.switch(KnowingChat(office.context))
    held = office.chat.held["m3"] = asyncio.Event()
    office.chat.gate.clear()
    sent = [await office.send(f"m{number}") for number in range(8)]
    office.chat.gate.set()
    await office.state(sent[3], State.SENDING)
    for message in sent[4:]:
        found = await office.state(message, State.QUEUED)
        assert (found.attempt, found.attempts) == (None, 0)
    assert await office.outbox.cancel(sent[5].id)
    held.set()
    for message in (*sent[:5], *sent[6:]):
        assert (await office.final(message)).state is State.DELIVERED
    assert [part.text for part in office.chat.sent] == ["m0", "m1", "m2", "m3", "m4", "m6", "m7"]


async def test_nothing_is_begun_ahead_where_nobody_could_tell_later_what_was_sent(
    office: Office,
) -> None:
    office.chat.gate.clear()
    sent = [await office.send(f"m{number}") for number in range(8)]
    held = office.chat.held["m3"] = asyncio.Event()
    office.chat.gate.set()
    await office.state(sent[3], State.SENDING)
    assert [office.look(message).state for message in sent[4:]] == [State.QUEUED] * 4
    held.set()
    for message in sent:
        assert (await office.final(message)).state is State.DELIVERED


async def test_a_retried_message_does_not_make_earlier_ones_forgotten(office: Office) -> None:
    held = office.chat.held["m0"] = asyncio.Event()
    sent = [await office.send(f"m{number}") for number in range(6)]
    await office.outbox.cancel(sent[4].id)
    await office.outbox.retry(sent[4].id)
    held.set()
    for message in sent:
        assert (await office.final(message)).state is State.DELIVERED
    assert [part.text for part in office.chat.sent] == [f"m{number}" for number in range(6)]
