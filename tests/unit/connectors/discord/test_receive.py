"""Receiving: everything once, whatever becomes of connections, sessions and processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fleetchatd.connectors.discord import gateway as gateway_module
from fleetchatd.connectors.discord import line, worker
from fleetchatd.connectors.discord.position import Position
from tests.fakes import faults
from tests.fakes.discord.refusals import refuse, slow_down
from tests.fakes.discord.server import FakeDiscordChannel
from tests.fakes.discord.things import HISTORY, ORDINARY, PRIVATE_THREAD
from tests.unit.connectors.discord.wired import wire
from tests.unit.connectors.matrix.wired import part


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
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        pass
    said = [f"missed {number}" for number in range(250)]
    for text in said:
        fleet.human.say(text)
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        await again.until_said(*said)


async def test_threads_opened_and_archived_meanwhile_are_read_with_their_ids(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        kept = fleet.human.say("kept open")
        await wired.until_said("kept open")
    fleet.human.say("in the open one", thread=kept)
    archived = fleet.human.open_thread(name="by itself")
    fleet.human.say("in the archived one", thread=archived.id)
    fleet.human.archive(archived.id)
    fleet.human.say("in the channel")
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        await again.until(lambda: len(again.inbox.texts) == 4)
        places = {event.text: event.thread_id for event in again.inbox.of_type("message")}
    assert places == {
        "kept open": None,
        "in the channel": None,
        "in the open one": kept,
        "in the archived one": archived.id,
    }


async def test_archived_threads_are_listed_only_as_far_as_they_are_new(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    for number in range(130):
        thread = fleet.human.open_thread(name=f"thread {number}")
        fleet.human.say(f"in {number}", thread=thread.id)
        fleet.human.archive(thread.id)
    async with wire(fleet, tmp_path).receiving() as wired:
        pass
    fleet.human.say("again", thread=thread.id)
    fleet.human.archive(thread.id)
    before = len(fleet.server.calls)
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        await again.until_said("again")
        asked = fleet.server.calls[before:]
        assert sum("archived" in call.path for call in asked) == 1
        assert len(asked) < 12


async def test_a_thread_that_people_open_is_heard_and_joined(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        thread = fleet.human.open_thread(name="a question")
        fleet.human.say("what now?", thread=thread.id)
        await wired.until_said("what now?")
        assert wired.inbox.of_type("message")[0].thread_id == thread.id
        await wired.until(lambda: fleet.bot.id in thread.members)
        secret = fleet.human.open_thread(name="private", kind=PRIVATE_THREAD)
        fleet.human.say("between us", thread=secret.id)
        await wired.until_said("what now?", "between us")


@pytest.mark.parametrize("by", ["a person", "us"])
async def test_what_was_missed_in_a_thread_of_no_list_comes_when_it_opens_again(
    fleet: FakeDiscordChannel, tmp_path: Path, by: str
) -> None:
    secret = fleet.human.open_thread(name="private", kind=PRIVATE_THREAD)
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.human.say("before", thread=secret.id)
        await wired.until_said("before")
    fleet.human.say("missed", thread=secret.id)
    fleet.human.archive(secret.id)
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        path = f"*/channels/{secret.id}/messages"
        fleet.server.fail("GET", path, refuse(503))
        if by == "us":
            await again.connector.send(part("opened again", thread_id=secret.id))
            await again.until_said("before", "missed")
        fleet.human.say("opened again", thread=secret.id)
        await again.until_said("before", "missed", "opened again")


async def test_a_thread_that_was_taken_for_elsewhere_is_heard_once_it_is_known_as_ours(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world = fleet.server.world
    async with wire(fleet, tmp_path).receiving() as wired:
        told = world.happened
        world.happened = lambda name, data, channel: None
        thread = fleet.human.open_thread(name="not told")
        world.happened = told
        fault = fleet.server.fail("GET", f"*/channels/{thread.id}", refuse(404, 10003))
        fleet.human.say("not found", thread=thread.id)
        await wired.until(lambda: fault.seen)
        world.archive(thread, archived=False)  # tells of it
        await wired.until_said("not found")
        fleet.human.say("found", thread=thread.id)
        await wired.until_said("not found", "found")


async def test_other_channels_and_their_threads_are_not_ours(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world = fleet.server.world
    other = world.add_channel("other", closed=False)
    async with wire(fleet, tmp_path).receiving() as wired:
        world.say(other, fleet.human.user, "elsewhere")
        thread = world.open_thread(other, fleet.human.user, "elsewhere")
        world.say(thread, fleet.human.user, "elsewhere, too")
        later = world.add_channel("later", closed=False)
        for number in range(5):
            world.say(later, fleet.human.user, f"elsewhere {number}")
        fleet.human.say("here")
        await wired.until_said("here")
        assert fleet.server.calls_to("GET", f"*/channels/{other.id}") == []
        assert len(fleet.server.calls_to("GET", f"*/channels/{later.id}")) == 1


@pytest.mark.parametrize("breakage", ["reconnect", "closed", "cut", "may resume", "silent"])
async def test_a_lost_connection_is_resumed_and_nothing_is_lost(
    fleet: FakeDiscordChannel, tmp_path: Path, breakage: str
) -> None:
    gateway = fleet.server.gateway
    gateway.heartbeat_interval_ms = 200
    async with wire(fleet, tmp_path).receiving() as wired:
        said = fleet.human.say("before")
        await wired.until_said("before")
        told = len(wired.told)
        if breakage == "reconnect":
            gateway.say_to_all(7)
        elif breakage == "closed":
            await gateway.close_all(4000)
        elif breakage == "cut":
            gateway.drop_all()
        elif breakage == "silent":
            gateway.mute_all()
        else:
            gateway.say_to_all(9, True)
        fleet.human.say("meanwhile")
        fleet.human.react(said)
        fleet.human.edit(said, "before, edited")
        await wired.until(lambda: wired.inbox.of_type("edit"))
        await wired.until_status("ok")
        assert any(not health.receiving for health in wired.told[told:])
        types = [event.type for event in wired.inbox.events]
        assert types == ["message", "message", "reaction", "edit"]
    assert (len(gateway.identifies), gateway.resumes) == (1, [True])


async def test_a_zombie_shows_when_its_heartbeat_is_not_answered_before_the_next(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.gateway.heartbeat_interval_ms = 300
    async with wire(fleet, tmp_path).receiving() as wired:
        hold = fleet.server.gateway
        hold.mute_all()
        hold.refusing = 503
        await wired.until(lambda: not wired.health.receiving, timeout_s=2)
        assert wired.health.status == "degraded"
        hold.refusing = None
        await wired.until_status("ok")


async def test_silence_of_the_people_is_no_symptom(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.gateway.heartbeat_interval_ms = 100
    async with wire(fleet, tmp_path).receiving() as wired:
        told = len(wired.told)
        first = wired.health.last_receive or 0.0
        await wired.until(lambda: (wired.health.last_receive or 0.0) > first + 0.8)
        assert wired.told[told:] == [], "eight heartbeats, and nothing to tell"


async def test_a_session_that_became_invalid_is_begun_anew_and_the_gap_is_filled(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    gateway = fleet.server.gateway
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.human.say("before")
        await wired.until_said("before")
        gateway.forget_sessions()
        fleet.human.say("between the sessions")
        gateway.say_to_all(9, False)
        await wired.until_said("before", "between the sessions")
        await wired.until_status("ok")
        gateway.forget_sessions()
        gateway.drop_all()  # the resume is refused
        await wired.until(lambda: len(gateway.identifies) == 3)
        fleet.human.say("after")
        await wired.until_said("before", "between the sessions", "after")
    assert gateway.resumes == [False]


@pytest.mark.parametrize("code", [4007, 4009])
async def test_a_session_that_is_closed_for_good_is_not_resumed_again_and_again(
    fleet: FakeDiscordChannel, tmp_path: Path, code: int
) -> None:
    gateway = fleet.server.gateway
    async with wire(fleet, tmp_path).receiving() as wired:
        if code == 4007:
            wired.connector._gateway.session.seq = 1_000_000
            gateway.drop_all()
        else:
            await gateway.close_all(code)
        fleet.human.say("meanwhile")
        await wired.until_said("meanwhile")
        await wired.until_status("ok")
    assert (len(gateway.identifies), len(gateway.resumes)) == (2, 1 if code == 4007 else 0)


async def test_connections_that_are_greeted_and_ended_at_once_are_no_storm(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    gateway = fleet.server.gateway
    async with wire(fleet, tmp_path).receiving() as wired:
        for number in (1, 2, 3):
            gateway.say_to_all(7)
            await wired.until(lambda: len(gateway.resumes) == number)  # noqa: B023
            await wired.until_status("ok")
        asked = [wait for wait in wired.pauses.waits if wait]
    assert len(asked) == 2
    assert 0.5 <= asked[0] <= 1.0 <= asked[1] <= 2.0


async def test_a_gateway_that_takes_an_identify_and_says_nothing_is_left(
    fleet: FakeDiscordChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "GREETING_TIMEOUT_S", 0.3)
    silent = pytest.MonkeyPatch()
    silent.setattr(fleet.server.gateway, "_greet", lambda session: None)
    async with wire(fleet, tmp_path).receiving("degraded") as wired:
        await wired.until(lambda: "silent" in (wired.health.detail or ""))
        silent.undo()
        await wired.until_status("ok")
        told = len(wired.told)
        first = wired.health.last_receive
        fleet.human.say("hello")
        await wired.until_said("hello")
        await asyncio.sleep(0.4)  # the time for a greeting holds no longer
        assert wired.told[told:] == []
        assert wired.health.last_receive != first


async def test_a_first_connection_that_fails_is_tried_again(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.gateway.refusing = 503
    async with wire(fleet, tmp_path).receiving("degraded") as wired:
        await wired.until(lambda: "answered 503" in (wired.health.detail or ""))
        assert not wired.health.receiving
        fleet.server.gateway.refusing = None
        await wired.until_status("ok")
        fleet.human.say("hello")
        await wired.until_said("hello")


async def test_a_server_that_is_away_at_the_start_is_waited_for(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    wired = wire(fleet, tmp_path)
    await fleet.server.stop()
    async with wired.receiving("degraded"):
        await wired.until(lambda: "cannot reach Discord" in (wired.health.detail or ""))
        assert not wired.health.reachable
        await fleet.server.start()
        await wired.until_status("ok")


async def test_what_comes_while_the_history_is_read_waits_and_is_told_once(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        pass
    fleet.human.say("missed")
    hold = fleet.server.hold("GET", f"*/channels/{fleet.channel.id}/messages")
    async with wire(fleet, tmp_path, wired.inbox).receiving("degraded") as again:
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
    fleet: FakeDiscordChannel, tmp_path: Path, trouble: faults.Action
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        pass
    fleet.human.say("missed")
    fleet.server.fail("GET", f"*/channels/{fleet.channel.id}/messages", trouble, times=2)
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        await again.until_said("missed")


async def test_a_page_is_journalled_with_its_place_before_the_next_is_had(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        pass
    said = [int(fleet.human.say(f"missed {number}")) for number in range(150)]
    path = f"*/channels/{fleet.channel.id}/messages"
    hold = fleet.server.hold("GET", path, nth=3)  # after a look, and the first page
    async with wire(fleet, tmp_path, wired.inbox).receiving("degraded") as again:
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


async def test_a_receiver_that_begins_again_resumes_where_it_had_handed_over(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    wired = wire(fleet, tmp_path)
    said = fleet.human.say("old")
    async with wired.receiving():
        pass
    fleet.human.react(said)  # what no history tells
    rest = wired.connector
    async with wired.receiving():
        await wired.until(lambda: wired.inbox.of_type("reaction"))
    assert wired.connector is rest
    assert len(fleet.server.gateway.identifies) == 1


GARBAGE = (
    *("", "[", "null", "7", "[]", "{}", '{"op": "x"}', '{"op": 10, "d": {}}', '{"op": 9}'),
    *('{"op": 0, "t": 5, "s": "x", "d": []}', '{"op": 0, "t": "RESUMED", "s": 3, "d": null}'),
    *('{"op": 0, "t": "MESSAGE_CREATE", "s": 4, "d": null}', '{"op": 0, "t": "READY", "s": 5}'),
    *('{"op": 0, "t": "GUILD_CREATE", "s": 4, "d": {"channels": 5, "threads": [[]]}}',),
    *('{"op": 0, "t": "THREAD_LIST_SYNC", "s": 4, "d": {"threads": [7]}}', '{"op": 10, "d": []}'),
    *('{"op": 0, "t": "MESSAGE_CREATE", "s": 4, "d": {"id": "\\ud800", "guild_id": {}}}',),
)


@pytest.mark.parametrize("text", GARBAGE)
async def test_garbage_from_the_gateway_is_an_outage_and_no_more(
    fleet: FakeDiscordChannel, tmp_path: Path, text: str
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.server.gateway.garble(text)
        fleet.human.say("hello")
        await wired.until_said("hello")
        await wired.until_status("ok")


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
