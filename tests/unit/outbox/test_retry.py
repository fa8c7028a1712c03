"""What follows an attempt that went wrong, and what a person may ask for then."""

from __future__ import annotations

import asyncio

import pytest

from fleetchatd.errors import SendAmbiguous, SendDeferred, SendRefused, SendUnknown
from fleetchatd.model import State
from tests.unit.chat import Office


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


@pytest.mark.usefixtures("endless_pauses")
async def test_an_ambiguous_message_stays_under_way_and_cannot_be_cancelled(office: Office) -> None:
    office.chat.fail_next(SendAmbiguous("lost"))
    message = await office.send("hello")
    await office.until("the attempt", lambda: office.context.pauses.failures)
    assert office.look(message).state is State.SENDING
    assert await office.outbox.cancel(message.id) is None


@pytest.mark.usefixtures("endless_pauses")
async def test_a_deferred_message_is_queued_again_and_can_be_cancelled(office: Office) -> None:
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
    retried = office.meanwhile(office.outbox.retry(failed.id))
    other = office.meanwhile(office.send("other"))
    await asyncio.gather(other, retried)
    await office.state(failed, State.DELIVERED)
    await office.final(await other)
    assert sorted(office.chat.texts) == ["failed", "other"]


async def test_a_client_that_goes_away_does_not_take_its_retry_back(office: Office) -> None:
    office.chat.fail_next(SendRefused("no"))
    message = await office.final(await office.send("again"))
    asked = office.meanwhile(office.outbox.retry(message.id))
    await asyncio.sleep(0)
    asked.cancel()
    await office.state(message, State.DELIVERED)


async def test_a_client_that_goes_away_does_not_take_its_cancel_back(office: Office) -> None:
    office.reach(False)
    message = await office.send("never")
    waiting = office.meanwhile(office.outbox.ends.until_final(message, 60))
    await asyncio.sleep(0)
    asked = office.meanwhile(office.outbox.cancel(message.id))
    await asyncio.sleep(0)
    asked.cancel()
    assert (await asyncio.wait_for(waiting, 30)).error == "cancelled"


async def test_what_was_confirmed_in_the_chat_needs_no_answer(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetchatd.outbox.delivery.ECHO_GRACE_S", 0.01)
    message = await office.begun("hello")
    office.outbox.confirm(message.id, "$seen")
    done = await office.final(message)
    assert (done.state, done.remote_id) == (State.DELIVERED, "$seen")
