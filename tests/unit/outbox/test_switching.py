"""Another connector takes over: what it may send, and what waits for the one before."""

from __future__ import annotations

import asyncio

import pytest

from fleetchatd.errors import SendDeferred
from fleetchatd.model import State
from tests.unit.chat import Chat, Office


async def test_what_was_never_attempted_goes_out_elsewhere_cut_anew(office: Office) -> None:
    office.reach(False)
    message = await office.send("abcdefgh")
    threaded = await office.send("threaded", thread_id="t")
    answer = await office.send("re", reply_to="$1")
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
    free = office.meanwhile(office.send("free"))
    tied = office.meanwhile(office.send("tied", thread_id="t"))
    await asyncio.sleep(0)
    office.attach(other)
    await office.final(await free)
    await office.until("both on disk", tied.done)
    assert (other.texts, first.texts) == (["free"], [])
    assert office.look(await tied).state is State.QUEUED
    assert office.journal.outbox_counts("another").waiting == 1


@pytest.mark.usefixtures("endless_pauses")
async def test_a_deferred_message_is_free_for_another_connector(office: Office) -> None:
    office.chat.fail_next(SendDeferred("slow down"))
    message = await office.send("hello")
    await office.until("deferred", lambda: office.context.pauses.failures)
    await office.switch(Chat(office.context, "another"))
    assert (await office.final(message)).target == "another"
