"""What the gateway did not tell is read from the history: everything once, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetchatd.connectors.discord import line, worker
from fleetchatd.connectors.discord.position import Position
from tests.fakes import faults
from tests.fakes.discord.refusals import refuse, slow_down
from tests.fakes.discord.server import FakeDiscordChannel
from tests.fakes.discord.things import HISTORY, ORDINARY
from tests.unit.connectors.discord.wired import wire
from tests.unit.connectors.matrix.wired import Journalled


async def test_what_was_said_before_the_first_contact_is_not_delivered(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    header = fleet.human.say("old")
    fleet.human.say("old in a thread", thread=header)
    fleet.human.archive(fleet.human.open_thread(name="archived").id)
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.human.say("new")
        fleet.human.say("new in the thread", thread=header)
        await wired.until_said("new", "new in the thread")


async def test_what_is_missed_comes_in_order_over_many_pages(
    fleet: FakeDiscordChannel, tmp_path: Path, contacted: Journalled
) -> None:
    said = [f"missed {number}" for number in range(250)]
    for text in said:
        fleet.human.say(text)
    async with wire(fleet, tmp_path, contacted).receiving() as again:
        await again.until_said(*said)


async def test_half_a_surrogate_pair_does_not_keep_out_what_is_behind_it(
    fleet: FakeDiscordChannel, tmp_path: Path, contacted: Journalled
) -> None:
    fleet.human.say("half \ud800")
    fleet.human.say("whole")
    async with wire(fleet, tmp_path, contacted).receiving() as again:
        await again.until_said("half \ufffd", "whole")


async def test_what_comes_while_the_history_is_read_waits_and_is_told_once(
    fleet: FakeDiscordChannel, tmp_path: Path, contacted: Journalled
) -> None:
    fleet.human.say("missed")
    hold = fleet.server.hold("GET", f"*/channels/{fleet.channel.id}/messages")
    async with wire(fleet, tmp_path, contacted).receiving("degraded") as again:
        await hold.reached()
        assert again.health.detail == "catching up"
        fleet.human.say("live")
        hold.release()
        await again.until_said("missed", "live")
        await again.until_status("ok")
    assert len(again.inbox.events) == 2


@pytest.mark.parametrize(
    "trouble",
    [
        faults.drop(),
        faults.html(503),
        faults.body(b"["),
        faults.reply({}),
        refuse(503),
        slow_down(0.1),
    ],
)
async def test_a_history_that_cannot_be_had_now_is_asked_for_again(
    fleet: FakeDiscordChannel, tmp_path: Path, contacted: Journalled, trouble: faults.Action
) -> None:
    fleet.human.say("missed")
    fleet.server.fail("GET", f"*/channels/{fleet.channel.id}/messages", trouble, times=2)
    async with wire(fleet, tmp_path, contacted).receiving() as again:
        await again.until_said("missed")


async def test_a_page_is_journalled_with_its_place_before_the_next_is_had(
    fleet: FakeDiscordChannel, tmp_path: Path, contacted: Journalled
) -> None:
    said = [int(fleet.human.say(f"missed {number}")) for number in range(150)]
    path = f"*/channels/{fleet.channel.id}/messages"
    hold = fleet.server.hold("GET", path, nth=3)  # after a look, and the first page
    async with wire(fleet, tmp_path, contacted).receiving("degraded") as again:
        await hold.reached()
        position = Position.decode(again.inbox.stored or "")
        assert position.mark(fleet.channel.id) == said[99]
        assert len(again.inbox.texts) == 100


async def test_the_history_is_asked_every_now_and_then_for_what_the_gateway_kept_from_us(
    fleet: FakeDiscordChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CATCH_UP_EVERY_S", 0.1)
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.server.world.happened = lambda name, data, channel: None
        fleet.human.say("kept back")
        await wired.until_said("kept back")


async def test_more_than_can_be_held_comes_out_of_the_history(
    fleet: FakeDiscordChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "HELD", 20)
    async with wire(fleet, tmp_path).receiving() as wired:
        hold = fleet.server.hold("GET", f"*/channels/{fleet.channel.id}")
        fleet.server.world.let_in(fleet.channel, fleet.human.user)  # looks around
        await hold.reached()
        said = [f"message {number}" for number in range(55)]
        for text in said:
            fleet.human.say(text)
        (session,) = fleet.server.gateway.sessions.values()
        gateway = wired.connector._gateway
        await wired.until(lambda: gateway.session.seq == session.seq, "all of it received")
        hold.release()
        await wired.until(lambda: wired.inbox.of_type("gap"))
        await wired.until(lambda: len(wired.inbox.texts) == 55)
        assert sorted(wired.inbox.texts) == sorted(said)


async def test_without_read_message_history_health_is_degraded_and_the_gap_is_told(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world, channel = fleet.server.world, fleet.channel
    world.let_in(channel, fleet.bot, ORDINARY & ~HISTORY, HISTORY)
    async with wire(fleet, tmp_path).receiving("degraded") as wired:
        await wired.until(lambda: wired.health.receiving)
        assert "Read Message History" in (wired.health.detail or "")
        fleet.human.say("live")
        await wired.until_said("live")
    assert wired.inbox.of_type("gap") == []
    fleet.human.say("missed for good")
    thread = fleet.human.open_thread(name="missed, too")
    fleet.human.say("missed in a thread", thread=thread.id)
    async with wire(fleet, tmp_path, wired.inbox).receiving("degraded") as again:
        await again.until(lambda: len(again.inbox.of_type("gap")) == 2)
        assert {gap.thread_id for gap in again.inbox.of_type("gap")} == {None, thread.id}
        world.let_in(channel, fleet.bot)
        await again.until_status("ok")
        fleet.human.say("live again")
        await again.until_said("live", "live again")


async def test_a_history_that_is_empty_though_something_was_said_is_told(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.human.say("old")
    fault = fleet.server.fail("GET", f"*/{fleet.channel.id}/messages", faults.reply([]), times=None)
    async with wire(fleet, tmp_path).receiving("degraded") as wired:
        await wired.until(lambda: wired.health.receiving)
        assert "history is empty" in (wired.health.detail or "")
        fleet.human.say("live")
        await wired.until_said("live")
    fleet.human.say("missed for good")
    async with wire(fleet, tmp_path, wired.inbox).receiving("degraded") as again:
        await again.until(lambda: again.inbox.of_type("gap"))
    assert fault.seen
    fleet.server.mend()
    async with wire(fleet, tmp_path, wired.inbox).receiving():
        pass


@pytest.mark.parametrize("path", ["*/threads/active", "*/archived/public", "*/members/*"])
async def test_a_server_that_has_not_everything_does(
    fleet: FakeDiscordChannel, tmp_path: Path, path: str
) -> None:
    fleet.server.fail("GET", path, refuse(404), times=None)
    async with wire(fleet, tmp_path).receiving() as wired:
        pass
    fleet.human.say("missed")
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        await again.until_said("missed")


async def test_names_are_those_of_the_server_also_in_the_history(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.server.world.set_nick(fleet.human.user, "The Boss")
        fleet.human.say("live")
        await wired.until_said("live")
    fleet.human.say("missed")
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        await again.until_said("live", "missed")
    fleet.human.say("missed while names cannot be had")
    fleet.server.fail("GET", "*/members/" + fleet.human.user_id, refuse(503))
    async with wire(fleet, tmp_path, wired.inbox).receiving() as third:
        await third.until(lambda: len(third.inbox.texts) == 3)
        fleet.server.gateway.forget_sessions()
        fleet.human.say("missed once more")
        fleet.server.gateway.say_to_all(9, False)
        fleet.server.gateway.drop_all()
        await third.until(lambda: len(third.inbox.texts) == 4)
    names = [event.sender_name for event in third.inbox.of_type("message")]
    assert names == ["The Boss", "The Boss", "Ann", "The Boss"]


async def test_a_server_that_names_the_charset_of_its_json_is_understood(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.mime = "application/json; charset=utf-8"
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.human.say("one")
        await wired.until_said("one")
    fleet.human.say("two")
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        await again.until_said("one", "two")
