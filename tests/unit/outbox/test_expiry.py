"""Messages whose time is over before they are out, or before it is known whether they are."""

from __future__ import annotations

import pytest

from fleetchatd.errors import SendAmbiguous, SendDeferred
from fleetchatd.model import State
from tests.unit.chat import Chat, KnowingChat, Office
from tests.unit.journal.conftest import Clock


async def test_what_was_not_attempted_in_time_fails_as_expired(
    office: Office, clock: Clock
) -> None:
    office.reach(False)
    message = await office.send("late", expires_s=5.0)
    clock.now += 6
    office.spawn(office.outbox.expiry.run())
    done = await office.final(message)
    assert (done.state, done.error) == (State.FAILED, "expired")
    office.reach(True)
    await office.final(await office.send("in time"))
    assert office.chat.texts == ["in time"]


async def test_what_expired_while_the_daemon_was_away_is_not_sent_by_the_next(
    idle: Office, clock: Clock
) -> None:
    idle.attach()
    idle.reach(False)
    message = await idle.send("late", expires_s=5.0)
    await idle.outbox.detach(0)
    clock.now += 6
    idle.chat.reachable = True
    idle.attach()
    done = await idle.final(message)
    assert (done.state, done.error, idle.chat.texts) == (State.FAILED, "expired", [])


async def test_what_expires_in_a_pause_is_not_sent_after_it(office: Office, clock: Clock) -> None:
    office.chat.fail_next(SendDeferred("later", retry_after_s=0.05))
    message = await office.begun("late", expires_s=500.0)
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
    office.chat.fail_next(SendAmbiguous("lost"))
    message = await office.begun("late", expires_s=500.0)
    clock.now += 501
    office.chat.gate.set()
    assert (await office.final(message)).state is State.UNKNOWN


async def test_what_expires_in_doubt_and_belongs_to_another_connector_is_unknown(
    office: Office, clock: Clock
) -> None:
    message = await office.begun("late", expires_s=500.0)
    await office.outbox.detach(0)
    office.attach(Chat(office.context, "another"))
    clock.now += 501
    office.spawn(office.outbox.expiry.run())
    assert (await office.final(message)).state is State.UNKNOWN
    assert office.chat.tried == []
