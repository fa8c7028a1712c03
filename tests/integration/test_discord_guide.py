"""Setting up Discord, looked at on a scripted server that two client libraries accept."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.discord.guide import DiscordGuide
from fleetchatd.connectors.guide import Finding
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret
from tests.fakes.discord.refusals import refuse
from tests.fakes.discord.server import FakeDiscord, FakeDiscordChannel
from tests.fakes.discord.things import HISTORY, ORDINARY, SEND

NOT_THERE = refuse(404, 0, "404: Not Found")


class Doctor:
    """Whoever looks at a roster's discord block."""

    def __init__(self, fleet: FakeDiscordChannel, state_dir: Path) -> None:
        self.fleet = fleet
        self.server = fleet.server
        self.state_dir = state_dir
        self.token: str | None = fleet.bot.token
        self.configured = False
        self.servers: tuple[str, ...] = ()

    def secret(self, name: str) -> Secret:
        if self.token is None:
            raise SecretError(f"cannot find the secret {name}: nowhere; put it somewhere")
        if self.configured:
            return Secret(self.token, source="$DISCORD_BOT_TOKEN", replaces="0" * 64)
        return Secret(self.token, servers=self.servers)

    async def findings(self, **settings: Any) -> list[Finding]:
        context = Context(
            orchestrator="mos",
            host="here",
            state_dir=self.state_dir,
            secret=self.secret,
            store_secret=lambda *_: None,
            health_changed=lambda: None,
        )
        chosen = self.fleet.settings | settings
        known = {key: value for key, value in chosen.items() if value is not None}
        return [found async for found in DiscordGuide().examine(known, context)]

    async def trouble(self, **settings: Any) -> Finding:
        """The only finding that is not `ok`; it says what to do."""
        found = [one for one in await self.findings(**settings) if one.level != "ok"]
        assert len(found) == 1, found
        assert found[0].remedy
        return found[0]


@pytest_asyncio.fixture
async def doctor(tmp_path: Path) -> AsyncIterator[Doctor]:
    async with FakeDiscord() as server:
        yield Doctor(server.furnish(), tmp_path)
        assert server.gateway.identifies == []
        assert {call.method for call in server.calls} <= {"GET"}
    assert os.listdir(tmp_path) == []


async def test_a_token_of_another_server_is_told_and_not_shown(doctor: Doctor) -> None:
    doctor.servers = ("https://discord.com/api/v10",)
    trouble = await doctor.trouble()
    assert f"it is for https://discord.com/api/v10, the roster names {doctor.server.api_url}" in (
        trouble.what
    )
    assert f"fleetchat login discord --api-url {doctor.server.api_url}" in (trouble.remedy or "")
    assert trouble.about == "discord_bot_token"
    assert {call.path for call in doctor.server.calls} == {"/api/v10/gateway"}


async def test_a_channel_in_order_is_told_step_by_step(doctor: Doctor) -> None:
    fleet = doctor.fleet
    found = await doctor.findings(allowed_senders=[fleet.human.user_id])
    assert [one.what for one in found if one.level != "ok"] == []
    assert [one.what for one in found][-8:] == [
        f"the token is that of {fleet.bot.username} ({fleet.bot.id})",
        "Message Content Intent is switched on",
        "the bot may connect 1000 more times",
        f"channel {fleet.channel.id} is there, and the bot sees it",
        "the channel is closed to @everyone",
        "the bot has the permissions that it needs there",
        "the channel's history can be read",
        f"Ann ({fleet.human.user_id}) may speak",
    ]


async def test_without_a_token_the_way_is_looked_at_all_the_same(doctor: Doctor) -> None:
    doctor.token = None
    found = await doctor.findings()
    assert found[0].level == "ok"
    assert (found[-1].level, found[-1].about) == ("error", "discord_bot_token")
    assert found[-1].remedy == "put it somewhere"


async def test_without_a_channel_the_token_is_looked_at_all_the_same(doctor: Doctor) -> None:
    found = await doctor.findings(channel_id=None)
    assert {one.level for one in found} == {"ok"}
    assert "connect" in found[-1].what


async def test_a_refused_token_is_told_by_its_name(doctor: Doctor) -> None:
    doctor.token = "s3cret"
    found = await doctor.trouble()
    assert (found.level, found.about) == ("error", "discord_bot_token")
    assert "fleetchat login discord" in str(found.remedy)
    assert "s3cret" not in f"{found.what} {found.remedy}"


async def test_another_token_is_put_where_the_refused_one_came_from(doctor: Doctor) -> None:
    doctor.token, doctor.configured = "s3cret-token", True
    trouble = await doctor.trouble()
    assert str(trouble.remedy).endswith("and put it into $DISCORD_BOT_TOKEN")


async def test_a_server_that_is_away_is_one_finding(doctor: Doctor) -> None:
    await doctor.server.stop()
    (found,) = await doctor.findings()
    assert (found.level, found.about) == ("error", "api_url")


async def test_nobody_is_asked_for_another_discord(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # none is there
    proxy, way = await doctor.findings(api_url=None)
    assert "the proxy 127.0.0.1:9" in proxy.what
    assert (way.level, way.about) == ("error", None)
    assert "https://discord.com" in way.what


async def test_a_missing_intent_is_told_with_where_to_click(doctor: Doctor) -> None:
    doctor.server.gateway.allowed_intents = 0
    found = await doctor.trouble()
    assert found.level == "error"
    page = f"https://discord.com/developers/applications/{doctor.fleet.bot.id}/bot"
    assert page in str(found.remedy)


async def test_a_bot_that_is_started_too_often_is_warned_of(doctor: Doctor) -> None:
    doctor.server.gateway.remaining, doctor.server.gateway.reset_after_ms = 42, 3_600_000
    found = await doctor.trouble()
    assert found.level == "warning"
    assert found.what.startswith("the bot may connect 42 more times until 20")


async def test_a_gateway_that_cannot_be_reached_is_told(doctor: Doctor) -> None:
    doctor.server.gateway.url = "ws://127.0.0.1:9"  # nobody is there
    found = await doctor.trouble()
    assert (found.level, found.about) == ("error", None)
    assert found.what.startswith("cannot reach http://127.0.0.1:9: ")


async def test_a_channel_that_the_bot_does_not_see_is_told_with_its_invitation(
    doctor: Doctor,
) -> None:
    fleet = doctor.fleet
    doctor.server.world.let_in(fleet.channel, fleet.bot, 0)
    for settings in ({}, {"channel_id": "1"}):
        found = await doctor.trouble(**settings)
        assert (found.level, found.about) == ("error", "channel_id")
        assert f"permissions=309237713920&client_id={fleet.bot.id}" in str(found.remedy)


async def test_who_may_speak_is_told_of_an_open_channel(doctor: Doctor) -> None:
    doctor.server.world.set_open(doctor.fleet.channel, to_all=True)
    found = await doctor.trouble()
    assert (found.level, found.about) == ("error", "allowed_senders")
    found_all = await doctor.findings(allowed_senders=[doctor.fleet.human.user_id])
    assert {one.level for one in found_all} == {"ok"}


async def test_permissions_that_are_missing_are_named(doctor: Doctor) -> None:
    fleet, world = doctor.fleet, doctor.server.world
    world.let_in(fleet.channel, fleet.bot, ORDINARY & ~SEND, SEND)
    assert "Send Messages" in (await doctor.trouble()).what
    world.let_in(fleet.channel, fleet.bot, ORDINARY & ~HISTORY, HISTORY)
    assert "Read Message History" in (await doctor.trouble()).what


async def test_a_history_that_is_closed_by_other_means_is_noticed(doctor: Doctor) -> None:
    message_id = doctor.fleet.human.say("gone at once")
    doctor.fleet.human.delete(message_id)
    assert "history is empty" in (await doctor.trouble()).what


async def test_who_is_listed_and_cannot_speak_is_named(doctor: Doctor) -> None:
    fleet, world = doctor.fleet, doctor.server.world
    robot = world.add_user("robot\x1b[31m", bot=True)
    gone = world.add_user("gone")
    del world.members[gone.id]
    listed = [fleet.human.user_id, robot.id, gone.id, "1", fleet.bot.id]
    found = await doctor.trouble(allowed_senders=listed)
    assert (found.level, found.about) == ("warning", "allowed_senders")
    assert found.what == (
        "listed in allowed_senders, but cannot speak: "
        f"{gone.id} (not on the server), 1 (not on the server), {fleet.bot.id} (the bot itself)"
    )
    whats = [one.what for one in await doctor.findings(allowed_senders=listed)]
    assert f"robot [31m ({robot.id}, a bot) may speak" in whats
    assert (await doctor.trouble(allowed_senders=["1"])).level == "error"


async def test_a_member_who_may_not_be_asked_for_is_no_stranger(doctor: Doctor) -> None:
    user_id = doctor.fleet.human.user_id
    doctor.server.fail("GET", f"*/members/{user_id}", refuse(403, 50001, "Missing Access"))
    found = await doctor.trouble(allowed_senders=[user_id])
    assert (found.level, found.about) == ("warning", "allowed_senders")
    assert "cannot tell whether" in found.what


async def test_what_another_server_does_not_have_is_skipped(doctor: Doctor) -> None:
    for path in ("*/applications/@me", "*/guilds/*"):
        doctor.server.fail("GET", path, NOT_THERE, times=None)
    found = await doctor.findings(allowed_senders=[doctor.fleet.human.user_id])
    assert {one.level for one in found} == {"ok"}
    assert not [one for one in found if "Intent" in one.what or "permission" in one.what]


@pytest.mark.parametrize("path", ["*/applications/@me", "*/gateway/bot", "*/channels/*"])
async def test_one_look_that_fails_does_not_end_the_others(doctor: Doctor, path: str) -> None:
    doctor.server.fail("GET", path, refuse(400, 0, "nothing\x1b[2J of the kind"), times=None)
    found = await doctor.trouble()
    assert found.what.startswith("cannot look at the ")
    assert found.what.isprintable()
