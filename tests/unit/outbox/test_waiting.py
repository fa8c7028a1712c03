"""Clients that wait for the end of what they sent."""

from __future__ import annotations

from fleetchatd.model import Draft, State
from tests.unit.chat import Office


async def test_waiting_ends_with_the_message(office: Office) -> None:
    office.chat.gate.clear()
    acceptance = await office.outbox.accept(Draft("hello"), None, watched=True)
    waiting = office.meanwhile(office.outbox.ends.until_final(acceptance.message, 20))
    await office.until("under way", lambda: office.chat.under_way)
    office.chat.gate.set()
    assert (await waiting).state is State.DELIVERED


async def test_waiting_ends_with_its_time_and_shows_what_is_known(office: Office) -> None:
    message = await office.begun("hello")
    assert (await office.outbox.ends.until_final(message, 0.01)).state is State.SENDING


async def test_a_repeated_key_waits_for_the_first_ones_end(office: Office) -> None:
    office.chat.gate.clear()
    await office.accept("hello", key="k")
    again = await office.accept("hello", key="k")
    assert not again.created
    waiting = office.meanwhile(office.outbox.ends.until_final(again.message, 20))
    office.chat.gate.set()
    assert (await waiting).state is State.DELIVERED
    assert office.chat.texts == ["hello"]
