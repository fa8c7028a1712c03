"""Intents are written ahead of the attempts while the chat answers at once, and taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from fleetchatd.model import Message, State
from fleetchatd.outbox.lane import AHEAD
from tests.unit.chat import Chat, KnowingChat, Office
from tests.unit.journal.conftest import Clock
from tests.unit.journal.faulty import FaultyJournal


@pytest_asyncio.fixture
async def office(idle: Office) -> Office:
    """One whose chat can tell later what it was sent: only there is anything begun ahead."""
    idle.attach(KnowingChat(idle.context))
    return idle


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is too slow."""
    monkeypatch.setattr("fleetchatd.outbox.lane.SLOW_S", 60.0)


async def flowing(office: Office, count: int) -> list[Message]:
    """A thread whose first message went out and whose others have their intent written."""
    office.chat.gate.clear()
    sent = [await office.send(str(number)) for number in range(count)]
    await up_to_the_second(office)
    return sent


async def up_to_the_second(office: Office) -> None:
    office.chat.held["1"] = asyncio.Event()
    office.chat.gate.set()
    await office.until("the second", lambda: len(office.chat.tried) == 2)


@pytest.mark.usefixtures("patient")
async def test_while_the_chat_answers_many_intents_share_a_commit(office: Office) -> None:
    sent = await flowing(office, AHEAD + 5)
    states = [office.look(message).state for message in sent[1:]]
    assert states == [State.SENDING] * AHEAD + [State.QUEUED] * 4
    office.chat.held["1"].set()
    await office.final(sent[-1])
    assert office.chat.texts == [str(number) for number in range(AHEAD + 5)]


async def test_intents_are_written_ahead_while_the_chat_answers_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    begin = FaultyJournal.begin_attempts

    def counted(self: FaultyJournal, messages: Any, mark: str) -> Any:
        groups.append(len(messages))
        return begin(self, messages, mark)

    monkeypatch.setattr(FaultyJournal, "begin_attempts", counted)
    office.chat.gate.clear()
    sent = [await office.send(f"m{number}") for number in range(20)]
    office.chat.gate.set()
    for message in sent:
        assert (await office.final(message)).state is State.DELIVERED
    assert [part.text for part in office.chat.sent] == [f"m{number}" for number in range(20)]
    assert max(groups) > 1
    assert len(groups) < 10


async def test_nothing_is_begun_ahead_where_nobody_could_tell_later_what_was_sent(
    office: Office,
) -> None:
    await office.switch(Chat(office.context))
    office.chat.gate.clear()
    sent = [await office.send(f"m{number}") for number in range(8)]
    held = office.chat.held["m3"] = asyncio.Event()
    office.chat.gate.set()
    await office.state(sent[3], State.SENDING)
    assert [office.look(message).state for message in sent[4:]] == [State.QUEUED] * 4
    held.set()
    for message in sent:
        assert (await office.final(message)).state is State.DELIVERED


async def test_what_was_begun_ahead_of_a_slow_answer_is_queued_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetchatd.outbox.lane.SLOW_S", 0.02)
    sent = await flowing(office, 5)
    for message in sent[2:]:
        found = await office.state(message, State.QUEUED)
        assert (found.attempt, found.attempts) == (None, 0)
    assert office.look(sent[1]).state is State.SENDING
    assert await office.outbox.cancel(sent[2].id) is not None
    office.chat.held["1"].set()
    await office.final(sent[-1])
    assert office.chat.texts == ["0", "1", "3", "4"]


@pytest.mark.usefixtures("patient")
async def test_what_was_begun_ahead_can_be_cancelled_and_the_rest_keeps_its_order(
    office: Office,
) -> None:
    sent = await flowing(office, 6)
    cancelled = await office.outbox.cancel(sent[3].id)
    assert cancelled is not None
    office.chat.held["1"].set()
    await office.final(sent[-1])
    assert office.chat.texts == ["0", "1", "2", "4", "5"]


@pytest.mark.usefixtures("patient")
async def test_what_was_begun_ahead_is_free_for_another_connector(office: Office) -> None:
    sent = await flowing(office, 4)
    stopping = office.meanwhile(office.outbox.detach(60))
    await asyncio.sleep(0)
    office.chat.held["1"].set()
    await stopping
    office.attach(other := Chat(office.context, "another"))
    await office.final(sent[-1])
    assert other.texts == ["2", "3"]


@pytest.mark.usefixtures("patient")
async def test_what_was_begun_ahead_and_expires_meanwhile_is_not_sent(
    office: Office, clock: Clock
) -> None:
    office.chat.gate.clear()
    sent = [await office.send(str(number)) for number in range(3)]
    late = await office.send("late", expires_s=5.0)
    await up_to_the_second(office)
    assert office.look(late).state is State.SENDING
    clock.now += 6
    office.chat.held["1"].set()
    done = await office.final(late)
    assert (done.state, done.error) == (State.FAILED, "expired")
    await office.final(sent[-1])
    assert office.chat.texts == ["0", "1", "2"]


async def test_a_lane_that_was_cut_short_takes_nothing_back_from_the_next_one(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetchatd.outbox.lane.SLOW_S", 0.05)
    sent = await flowing(office, 4)
    await office.outbox.detach(0.0)
    office.chat.held["2"] = asyncio.Event()
    office.chat.held["1"].set()
    office.attach(office.chat)
    await office.until("the third", lambda: len(office.chat.tried) >= 4)
    await asyncio.sleep(0.15)  # past the time at which the first lane looked
    assert office.look(sent[2]).state is State.SENDING
    assert await office.outbox.cancel(sent[2].id) is None
    office.chat.held["2"].set()
    await office.final(sent[-1])
    assert office.chat.texts == ["0", "1", "2", "3"]
