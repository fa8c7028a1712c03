"""The connector on a scripted homeserver: what it receives."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fleetchatd.connectors.matrix import connector as module
from tests.fakes import faults
from tests.fakes.homeserver import FakeHomeserver
from tests.fakes.profiles import CONDUIT, SYNAPSE, Profile
from tests.unit.connectors.matrix.wired import wire

both = pytest.mark.parametrize("profile", [SYNAPSE, CONDUIT], ids=lambda profile: profile.name)


@both
@pytest.mark.parametrize("count", [3, 150])
async def test_a_bot_that_comes_back_hears_what_was_said_meanwhile_and_nothing_older(
    profile: Profile, count: int, tmp_path: Path
) -> None:
    async with FakeHomeserver(profile) as server:
        room = server.furnish()
        await room.human.say("before the first contact")
        async with wire(room, tmp_path).receiving() as wired:
            await room.human.say("heard")
            await wired.until_said("heard")
            room.room.kick(room.bot.user_id, "for a test")
            await wired.until_status("down")
            assert not wired.health.receiving
            said = [f"meanwhile {n}" for n in range(count)]
            room.room.flood(room.human.user_id, said)
            room.room.invite(room.bot.user_id)
            await wired.until_status("ok")
            await wired.until_said("heard", *said)
            await room.human.say("live")
            await wired.until_said("heard", *said, "live")
        assert wired.inbox.of_type("gap") == []


async def test_a_ban_that_is_lifted_hides_nothing_that_was_said_before_that(tmp_path: Path) -> None:
    async with FakeHomeserver() as server:
        room = server.furnish()
        async with wire(room, tmp_path).receiving() as wired:
            room.room.ban(room.bot.user_id)
            await wired.until_status("down")
            room.room.flood(room.human.user_id, ["one", "two"])
            room.room.set_membership(room.bot.user_id, "leave", room.human.user_id)
            asked = len(server.calls_to("GET", "*/sync"))
            await server.called("GET", "*/sync", asked + 1)
            room.room.invite(room.bot.user_id)
            await wired.until_said("one", "two")


@both
async def test_coming_back_into_a_room_that_hides_its_past_leaves_a_gap(
    profile: Profile, tmp_path: Path
) -> None:
    async with FakeHomeserver(profile) as server:
        room = server.furnish()
        room.room.set_state("m.room.history_visibility", {"history_visibility": "joined"})
        async with wire(room, tmp_path).receiving() as wired:
            assert wired.inbox.events == []
            room.room.kick(room.bot.user_id)
            await wired.until_status("down")
            room.room.invite(room.bot.user_id)
            await wired.until_status("ok")
            await room.human.say("again")
            await wired.until_said("again")
        assert [event.type for event in wired.inbox.events] == ["gap", "message"]


@both
async def test_an_invited_bot_joins_and_hears_what_comes_after_that(
    profile: Profile, tmp_path: Path
) -> None:
    async with FakeHomeserver(profile) as server:
        room = server.furnish(joined=False)
        room.room.flood(room.human.user_id, (f"old {n}" for n in range(30)))
        async with wire(room, tmp_path).receiving() as wired:
            server.world.names[room.bot.user_id] = "A new name"
            room.room.join(room.bot.user_id)  # a change of name is no second entry
            await room.human.say("new")
            await wired.until_said("new")


async def test_the_rules_of_then_decide_on_what_was_said_then(tmp_path: Path) -> None:
    async with FakeHomeserver() as server:
        room = server.furnish()
        rules = "m.room.join_rules"
        async with wire(room, tmp_path).receiving() as wired:
            await room.human.say("closed")
            await wired.until_said("closed")
        await room.human.say("closed still")
        room.room.set_state(rules, {"join_rule": "public"})
        await room.human.say("open")
        async with wire(room, tmp_path, wired.inbox).receiving("down") as again:
            await again.until_said("closed", "closed still")
            await again.until_status("down")
        await room.human.say("open still")
        room.room.set_state(rules, {"join_rule": "invite"})
        await room.human.say("closed again")
        async with wire(room, tmp_path, wired.inbox).receiving() as third:
            await third.until_said("closed", "closed still", "closed again")
        assert again.context.counts["refused_senders"] == 1
        assert third.context.counts["refused_senders"] == 1


async def test_names_are_those_of_the_moment(tmp_path: Path) -> None:
    async with FakeHomeserver() as server:
        room = server.furnish()
        async with wire(room, tmp_path).receiving() as wired:
            pass
        await room.human.set_display_name("Ann")
        await room.human.say("one")
        await room.human.set_display_name("Anna")
        await room.human.say("two")
        async with wire(room, tmp_path, wired.inbox).receiving() as again:
            await again.until_said("one", "two")
        assert [event.sender_name for event in wired.inbox.of_type("message")] == ["Ann", "Anna"]


async def test_a_redaction_by_the_bots_own_hands_is_told_too(tmp_path: Path) -> None:
    async with FakeHomeserver() as server:
        room = server.furnish()
        async with wire(room, tmp_path).receiving() as wired:
            event_id = await room.human.say("secret")
            await wired.until_said("secret")
            await room.bot_hands.redact(event_id)
            await wired.until(lambda: wired.inbox.of_type("redaction"))


@both
async def test_empty_wake_ups_cost_no_time_and_an_endless_row_of_them_no_cpu(
    profile: Profile, tmp_path: Path
) -> None:
    async with FakeHomeserver(profile) as server:
        room = server.furnish()
        async with wire(room, tmp_path).receiving() as wired:
            for number in range(5):
                await room.human.say(f"message {number}")
            await wired.until(lambda: len(wired.inbox.texts) == 5)

            def empty(answer: Any) -> None:
                answer.pop("rooms", None)

            async def at_once(call: Any, process: Any) -> Any:
                call.query["timeout"] = "0"
                return await faults.rewrite(empty)(call, process)

            server.fail("GET", "*/sync", at_once, times=None)
            await room.human.say("wakes the poll")
            before = len(server.calls_to("GET", "*/sync"))
            await asyncio.sleep(1.5)
            assert len(server.calls_to("GET", "*/sync")) - before < 40


async def test_a_server_that_hangs_is_noticed_when_its_answer_is_overdue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_MS", 300)
    monkeypatch.setattr(module, "OVERDUE_S", 0.5)
    async with FakeHomeserver() as server:
        room = server.furnish()
        async with wire(room, tmp_path).receiving() as wired:
            server.fail("GET", "*/sync", faults.hang(), times=None)
            await wired.until(lambda: not wired.health.receiving)
            assert wired.health.status == "degraded"
            assert "no answer came in time" in (wired.health.detail or "")
            server.mend()
            await wired.until_status("ok")
            await room.human.say("again")
            await wired.until_said("again")
