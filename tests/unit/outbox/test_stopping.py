"""A stop lets end what is under way, and begins nothing."""

from __future__ import annotations

import asyncio

from fleetchatd.model import State
from tests.unit.chat import Office


async def test_a_stop_lets_the_attempt_under_way_end_and_begins_no_other(office: Office) -> None:
    office.chat.gate.clear()
    first, second = await office.send("first"), await office.send("second")
    await office.until("under way", lambda: office.chat.under_way)
    stopping = office.meanwhile(office.outbox.detach(60))
    await asyncio.sleep(0)
    office.chat.gate.set()
    await asyncio.wait_for(stopping, 30)
    assert office.look(first).state is State.DELIVERED
    assert office.look(second).state is State.QUEUED
    assert office.chat.texts == ["first"]


async def test_a_stop_between_two_parts_does_not_wait_for_its_grace(office: Office) -> None:
    office.chat.longest = 3
    message = await office.begun("abcdef")
    stopping = office.meanwhile(office.outbox.detach(60))
    await asyncio.sleep(0)
    office.chat.gate.set()
    await asyncio.wait_for(stopping, 30)
    found = office.look(message)
    assert (found.remote_ids, found.attempt) == ((f"memory-sent-{message.id}",), None)
    office.attach()
    await office.final(message)
    assert office.chat.texts == ["abc", "def"]


async def test_an_attempt_that_outlasts_the_grace_is_repeated_by_the_next(office: Office) -> None:
    message = await office.begun("hello")
    await office.outbox.detach(0.01)
    assert office.look(message).state is State.SENDING
    office.chat.gate.set()
    office.attach()
    await office.final(message)
    assert office.chat.tried == [(message.id, False), (message.id, True)]


async def test_a_stop_before_the_first_attempt_begins_gives_the_message_back(
    office: Office,
) -> None:
    accepting = office.meanwhile(office.send("hello"))
    await asyncio.sleep(0)
    await office.outbox.detach(1.0)
    message = await accepting
    found = office.look(message)
    assert (found.state, found.attempt, office.chat.tried) == (State.QUEUED, None, [])


async def test_messages_that_wait_for_a_slot_go_back_at_a_stop(office: Office) -> None:
    office.chat.gate.clear()
    sent = [await office.send(str(number), thread_id=str(number)) for number in range(20)]
    await office.until("all slots", lambda: office.chat.under_way == 8)
    stopping = office.meanwhile(office.outbox.detach(60))
    await asyncio.sleep(0)
    office.chat.gate.set()
    await asyncio.wait_for(stopping, 30)
    states = [office.look(message).state for message in sent]
    assert states == [State.DELIVERED] * 8 + [State.QUEUED] * 12
