"""In which order messages go out: thread by thread, part by part, one attempt at a time."""

from __future__ import annotations

import asyncio

from fleetchatd.errors import SendAmbiguous, SendRefused
from fleetchatd.model import State
from fleetchatd.outbox.lane import IN_HAND
from tests.unit.chat import Office


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
    office.reach(False)
    first = office.meanwhile(office.send("first"))
    await asyncio.sleep(0)
    office.reach(True)
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


async def test_a_retried_message_does_not_make_earlier_ones_forgotten(office: Office) -> None:
    held = office.chat.held["m0"] = asyncio.Event()
    sent = [await office.send(f"m{number}") for number in range(6)]
    await office.outbox.cancel(sent[4].id)
    await office.outbox.retry(sent[4].id)
    held.set()
    for message in sent:
        assert (await office.final(message)).state is State.DELIVERED
    assert [part.text for part in office.chat.sent] == [f"m{number}" for number in range(6)]


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
