"""Connections and sessions that end in every way: what was said meanwhile still comes, once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fleetchatd.connectors.discord import gateway as gateway_module
from tests.fakes.discord.server import FakeDiscordChannel
from tests.unit.connectors.discord.wired import wire


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
        await wired.until(lambda: not wired.health.receiving)
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


async def test_what_is_no_json_is_called_that(fleet: FakeDiscordChannel, tmp_path: Path) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.server.gateway.garble("<html>")
        why = "the gateway sent what is no JSON"
        await wired.until(lambda: any(health.detail == why for health in wired.told))


async def test_half_a_surrogate_pair_breaks_no_connection(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.human.say("half \ud800")
        fleet.human.say("whole")
        await wired.until_said("half \ufffd", "whole")
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
