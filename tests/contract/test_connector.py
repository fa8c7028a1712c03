"""What every connector promises the rest of the program (connectors/base.py)."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from fleetchatd.connectors import pauses
from fleetchatd.connectors.base import Splits
from fleetchatd.errors import SendAmbiguous, SendDeferred
from fleetchatd.model import Draft, State
from tests.contract.drivers import Driver
from tests.contract.stage import Stage

with_edits = pytest.mark.needs("has_edits")
with_echo = pytest.mark.needs("has_echo")
breakable = pytest.mark.needs("can_break")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "LONGEST_S", 0.2)
    monkeypatch.setattr(pauses, "FIRST_S", 0.05)


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.driver


# -- receiving ------------------------------------------------------------------------------------


async def test_what_is_said_arrives_once_and_in_order(stage: Stage, driver: Driver) -> None:
    await stage.receiving()
    said = [f"message {number}" for number in range(25)]
    for text in said:
        await driver.say(text)
    await stage.until_heard(*said)


async def test_an_event_says_who_what_where_and_when(stage: Stage, driver: Driver) -> None:
    await stage.receiving()
    event_id = await driver.say("hello, wörld 🚀")
    await stage.until_heard("hello, wörld 🚀")
    (event,) = stage.events("message")
    assert (event["id"], event["class"]) == (event_id, "human")
    assert event["connector"] == stage.connector.kind
    assert event["time"].endswith("Z")
    assert event["sender"]
    assert event["sender_name"]
    assert (event["thread_id"], event["reply_to"], event["attachments"]) == (None, None, [])


async def test_threads_and_replies_arrive_as_such(stage: Stage, driver: Driver) -> None:
    await stage.receiving()
    root = await driver.say("the root")
    await driver.say("in the thread", thread_id=root)
    answered = root if driver.has_replies else None
    await driver.say("an answer", reply_to=answered)
    await stage.until_heard("the root", "in the thread", "an answer")
    places = [(event["thread_id"], event["reply_to"]) for event in stage.events("message")]
    assert places == [(None, None), (root, None), (None, answered)]


@with_edits
async def test_edits_reactions_and_redactions_arrive_with_what_they_mean(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    first = await driver.say("first")
    edit = await driver.edit(first, "better")
    reaction = await driver.react(first, "👍")
    redaction = await driver.redact(first)
    await stage.until("the redaction", lambda: stage.events("redaction"))
    found = [
        (event["type"], event["id"], event["target"])
        for event in stage.events("edit", "reaction", "redaction")
    ]
    assert found == [
        ("edit", edit, first),
        ("reaction", reaction, first),
        ("redaction", redaction, first),
    ]
    assert "first" not in stage.heard()


async def test_what_is_said_before_the_first_contact_is_not_delivered_twice_or_late(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    await driver.say("one")
    await stage.until_heard("one")
    await stage.next_life()
    await stage.receiving()
    await driver.say("two")
    await stage.until_heard("one", "two")


async def test_what_is_said_while_nobody_receives_arrives_afterwards(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    await driver.say("before")
    await stage.until_heard("before")
    await stage.next_life()
    missed = [f"missed {number}" for number in range(40)]
    for text in missed:
        await driver.say(text)
    await stage.receiving()
    await stage.until_heard("before", *missed)


async def test_a_receiver_cancelled_at_any_moment_loses_nothing(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    said = [f"message {number}" for number in range(30)]
    texts = iter(said)
    for moment in itertools.count():
        for text in itertools.islice(texts, 3):
            await driver.say(text)
        for _ in range(moment * 3):
            await asyncio.sleep(0)
        await stage.unsubscribe()
        if moment % 3 == 0:
            await stage.next_life()
        stage.receive()
        if len(said) <= (moment + 1) * 3:
            break
    await stage.until_heard(*said)


async def test_a_receiver_waits_for_a_journal_that_cannot_write(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    await driver.say("one")
    await stage.until_heard("one")
    held = stage.journal.commits
    held._busy = True  # as while a disk is busy: nothing is committed
    await driver.say("two")
    await asyncio.sleep(0.1)
    await driver.say("three")
    assert stage.heard() == ["one"]
    held._busy = False
    held._schedule()
    await stage.until_heard("one", "two", "three")


@with_echo
async def test_own_messages_are_confirmed_and_are_no_events(stage: Stage, driver: Driver) -> None:
    await stage.receiving()
    confirmed: list[tuple[str, str]] = []
    stage.outbox.confirm = lambda *pair: confirmed.append(pair)  # type: ignore[method-assign]
    part = stage.part("hello")
    result = await stage.send(part)
    await driver.say("an answer")
    await stage.until_heard("an answer")
    await stage.until("the echo", lambda: confirmed)
    assert confirmed == [(part.transaction_id, result.remote_id)]


# -- sending --------------------------------------------------------------------------------------


async def test_what_is_sent_is_seen_once_and_in_order(stage: Stage, driver: Driver) -> None:
    await stage.receiving()
    texts = [f"message {number}" for number in range(10)]
    results = [await stage.say_back(text) for text in texts]
    seen = await driver.seen()
    assert [message.text for message in seen] == texts
    assert [message.id for message in seen] == [result.remote_id for result in results]


async def test_a_part_repeated_under_its_transaction_id_is_one_message(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    part, mark = stage.part("once"), stage.mark()
    first = await stage.send(part)
    again = part.message.next_part(mark)
    assert await stage.send(again) == first
    assert [message.text for message in await driver.seen()] == ["once"]


async def test_a_part_repeated_by_the_next_life_is_one_message(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    part, mark = stage.part("once"), stage.mark()
    first = await stage.send(part)
    await stage.next_life()
    await stage.receiving()
    assert await stage.send(part.message.next_part(mark)) == first
    assert [message.text for message in await driver.seen()] == ["once"]


async def test_a_send_cancelled_at_any_moment_can_be_repeated(stage: Stage, driver: Driver) -> None:
    await stage.receiving()
    texts = [f"message {number}" for number in range(8)]
    for steps, text in enumerate(texts):
        part, mark = stage.part(text), stage.mark()
        sending = asyncio.ensure_future(stage.send(part))  # noqa: TID251 - to cancel it half-way
        for _ in range(steps * 4):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await stage.send(part.message.next_part(mark))
    assert [message.text for message in await driver.seen()] == texts


async def test_threads_and_replies_are_seen_as_such(stage: Stage, driver: Driver) -> None:
    await stage.receiving()
    root = await driver.say("the root")
    await stage.until_heard("the root")
    await stage.say_back("in the thread", thread_id=root)
    await stage.say_back("an answer", reply_to=root)
    seen = [(message.thread_id, message.reply_to) for message in await driver.seen()]
    assert seen == [(root, None), (None, root if driver.has_replies else None)]


async def test_a_thread_answered_by_people_comes_back_under_its_id(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    root = (await stage.say_back("shall I?")).remote_id
    await driver.say("yes", thread_id=root)
    await stage.until_heard("yes")
    assert stage.events("message")[0]["thread_id"] == root
    await stage.say_back("done", thread_id=root)
    assert (await driver.seen())[-1].thread_id == root


async def test_splitting_loses_nothing_and_every_part_is_seen(stage: Stage, driver: Driver) -> None:
    await stage.receiving()
    text = "```python\n" + "print('wörld')  # 🚀\n" * 9000 + "```\n\n" + "the end " * 4000
    message = stage.message(text)
    assert "".join(message.parts) == text
    remote_ids = []
    for _ in message.parts:
        result = await stage.send(message.next_part(None))
        message = message.with_remote_id(result.remote_id)
        remote_ids.append(result.remote_id)
    seen = await driver.seen()
    assert [part.id for part in seen] == remote_ids
    assert isinstance(stage.connector, Splits) == (len(message.parts) > 1)


async def test_the_whole_way_out_leaves_every_message_delivered_in_order(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    stage.outbox.attach(stage.connector, stage.context.pauses)
    taken = [
        (await stage.outbox.accept(Draft(str(number)), None, watched=True)).message
        for number in range(20)
    ]
    ends = [await stage.outbox.ends.until_final(message, 20) for message in taken]
    assert [end.state for end in ends] == [State.DELIVERED] * 20
    seen = await driver.seen()
    assert [(message.text, message.id) for message in seen] == [
        (str(number), end.remote_id) for number, end in enumerate(ends)
    ]
    await stage.outbox.detach(5)


# -- being known ----------------------------------------------------------------------------------


async def test_making_one_opens_nothing_and_claims_nothing(stage: Stage) -> None:
    health = stage.connector.health()
    assert not health.receiving
    assert health.status != "ok"
    assert health.detail
    assert health.last_receive is None


async def test_health_says_whether_what_is_said_would_reach_us(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    health = stage.connector.health()
    assert (health.status, health.reachable, health.authenticated) == ("ok", True, True)
    assert health.detail is None
    await driver.say("x")
    await stage.until_heard("x")
    assert stage.connector.health().last_receive is not None
    assert stage.told[-1].receiving


async def test_a_target_is_the_same_in_every_life(stage: Stage) -> None:
    first = stage.connector.target
    await stage.next_life()
    assert stage.connector.target == first


# -- outages --------------------------------------------------------------------------------------


@breakable
async def test_an_outage_shows_at_once_and_ends_by_itself(stage: Stage, driver: Driver) -> None:
    await stage.receiving()
    await driver.say("before")
    await stage.until_heard("before")
    await driver.break_off()
    await stage.until("not receiving", lambda: not stage.connector.health().receiving)
    health = stage.connector.health()
    assert (health.status, health.reachable) == ("degraded", False)
    assert health.detail
    assert stage.told[-1].same_as(health)
    await driver.mend()
    await stage.until("receiving again", lambda: stage.connector.health().receiving)
    await driver.say("after")
    await stage.until_heard("before", "after")


@breakable
async def test_a_send_during_an_outage_says_what_is_known_of_it(
    stage: Stage, driver: Driver
) -> None:
    await stage.receiving()
    await driver.break_off()
    part, mark = stage.part("hello"), stage.mark()
    with pytest.raises((SendDeferred, SendAmbiguous)):
        await stage.send(part)
    await driver.mend()
    await stage.until("receiving again", lambda: stage.connector.health().receiving)
    await stage.send(part.message.next_part(mark))
    assert [message.text for message in await driver.seen()] == ["hello"]


@breakable
async def test_a_life_that_begins_in_an_outage_waits_for_its_end(
    stage: Stage, driver: Driver
) -> None:
    await driver.break_off()
    stage.receive()
    await stage.until("the outage shows", lambda: stage.told and not stage.told[-1].reachable)
    await driver.mend()
    await stage.until("receiving", lambda: stage.connector.health().receiving)
    await driver.say("hello")
    await stage.until_heard("hello")
