"""Getting in: the identify budget, closings for good, open channels."""

from __future__ import annotations

import asyncio
import stat
import time
from pathlib import Path

import pytest

from fleetchatd.connectors.discord import budget
from fleetchatd.connectors.discord.connector import DiscordConnector
from fleetchatd.errors import SendDeferred
from fleetchatd.model import Secret
from tests.fakes.discord.server import FakeDiscord, FakeDiscordChannel
from tests.harness.waiting import eventually
from tests.unit.connectors.discord.wired import wire
from tests.unit.connectors.matrix.wired import Wired, part


@pytest.mark.parametrize(
    ("code", "says", "authenticated"),
    [
        (4004, "$DISCORD_BOT_TOKEN", False),
        (4010, "shard", True),
        (4011, "guilds", True),
        (4012, "install a newer fleetchatd", True),
        (4013, "intents", True),
        (4014, "Message Content Intent", True),
    ],
)
async def test_a_closing_for_good_is_reported_and_not_tried_again(
    fleet: FakeDiscordChannel, tmp_path: Path, code: int, says: str, authenticated: bool
) -> None:
    fleet.server.gateway.close_identify.append(code)
    async with wire(fleet, tmp_path).receiving("down") as wired:
        assert says in (wired.health.detail or "")
        assert str(code) in (wired.health.detail or "")
        assert (wired.health.authenticated, wired.health.receiving) == (authenticated, False)
        await asyncio.sleep(0.3)
    assert len(fleet.server.gateway.identifies) == 1


async def test_a_token_of_another_server_is_not_even_shown(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    wired = wire(fleet, tmp_path)
    discord = "https://discord.com/api/v10"
    wired.keyring.secret = Secret(fleet.bot.token, servers=(discord,))
    wired = Wired(fleet.settings, wired.keyring, tmp_path, create=DiscordConnector.create)
    async with wired.receiving("down"):
        for word in (discord, fleet.server.api_url, "run `fleetchat login discord`, and reload"):
            assert word in (wired.health.detail or "")
        assert (wired.health.reachable, wired.health.authenticated) == (False, False)
    assert fleet.server.calls == []


async def test_an_intent_that_is_switched_off_is_named(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.gateway.allowed_intents = 0
    async with wire(fleet, tmp_path).receiving("down") as wired:
        assert "Message Content Intent" in (wired.health.detail or "")


async def test_a_message_whose_words_are_kept_from_us_is_told_and_shows_in_health(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.human.say("")
        health = await wired.until_status("degraded")
        assert "Message Content Intent" in (health.detail or "")
        assert health.receiving
        assert len(wired.inbox.texts) == 1
        fleet.human.say("words")
        await wired.until_status("ok")


async def test_a_refused_token_never_reaches_the_gateway(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.refusing_tokens = True
    async with wire(fleet, tmp_path).receiving("down") as wired:
        assert "401" in (wired.health.detail or "")
        assert "DISCORD_BOT_TOKEN" in (wired.health.detail or "")
        assert fleet.bot.token not in (wired.health.detail or "")
        await asyncio.sleep(0.3)
    assert len(fleet.server.calls) == 1
    assert fleet.server.gateway.identifies == []


async def test_an_address_that_is_no_api_names_the_key_to_mend(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    api_url = fleet.server.api_url.replace("v10", "nothing")
    async with wire(fleet, tmp_path, api_url=api_url).receiving("degraded") as wired:
        await wired.until(lambda: "404" in (wired.health.detail or ""))
        assert wired.health.detail == (
            "Discord answered 404 Not Found; mend connector.discord.api_url in the roster"
        )


async def test_a_token_that_is_revoked_meanwhile_is_noticed(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.server.refusing_tokens = True
        await fleet.server.gateway.close_all(4004)
        health = await wired.until_status("down")
        assert (health.authenticated, health.receiving) == (False, False)


async def test_the_five_seconds_hold_over_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "EVERY_S", 0.7)
    async with FakeDiscord() as server:
        server.gateway.identify_every_s = 0.6
        fleet = server.furnish()
        inbox = None
        for _ in range(3):
            async with wire(fleet, tmp_path, inbox).receiving() as wired:
                inbox = wired.inbox
        assert [one.taken for one in server.gateway.identifies] == [True] * 3
        kept = tmp_path / "discord" / "identified-at"
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
        assert abs(float(kept.read_text()) - time.time()) < 10


@pytest.mark.parametrize("kept", ["", "soon", "99999999999", "-1"])
async def test_a_time_that_makes_no_sense_holds_nobody_up_for_long(
    fleet: FakeDiscordChannel, tmp_path: Path, kept: str
) -> None:
    (tmp_path / "discord").mkdir()
    (tmp_path / "discord" / "identified-at").write_text(kept)
    async with wire(fleet, tmp_path).receiving():
        pass


async def test_a_state_directory_that_cannot_be_written_keeps_nobody_out(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    (tmp_path / "discord").write_text("a file in its place")
    async with wire(fleet, tmp_path).receiving():
        pass


async def taken(wired: Wired, text: str) -> bool:
    """Whether a part is sent; before the first contact it waits."""
    try:
        await wired.connector.send(part(text))
    except SendDeferred:
        return False
    return True


async def test_when_few_attempts_are_left_they_are_saved_and_health_says_until_when(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    gateway = fleet.server.gateway
    gateway.remaining, gateway.reset_after_ms = 3, 1000
    async with wire(fleet, tmp_path).receiving("degraded") as wired:
        await wired.until(lambda: "3 attempts" in (wired.health.detail or ""))
        assert f"{time.strftime('%Y-%m-%dT', time.gmtime())}" in (wired.health.detail or "")
        await eventually("REST alone is enough to send", lambda: taken(wired, "all the same"))
        fleet.human.say("is read later")
        assert gateway.identifies == []
        gateway.remaining = 1000
        await wired.until_said("is read later")
        await wired.until_status("ok")


async def test_a_gateway_that_would_show_the_token_to_all_is_not_used(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    good, fleet.server.gateway.url = fleet.server.gateway.url, "ws://gateway.example.org/"
    async with wire(fleet, tmp_path).receiving("degraded") as wired:
        await wired.until(lambda: "gateway" in (wired.health.detail or ""))
        fleet.server.gateway.url = good
        await wired.until_status("ok")


# -- the channel


async def test_an_open_channel_is_down_until_it_is_closed_or_senders_are_named(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world = fleet.server.world
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.human.say("closed")
        await wired.until_said("closed")
        world.set_open(fleet.channel, to_all=True)
        fleet.human.say("open")
        health = await wired.until_status("down")
        assert "connector.discord.allowed_senders" in (health.detail or "")
        assert health.receiving
        world.set_open(fleet.channel, to_all=False)
        await wired.until_status("ok")
        fleet.human.say("closed again")
        await wired.until_said("closed", "closed again")
        assert wired.context.counts["refused_senders"] == 1
    world.set_open(fleet.channel, to_all=True)
    named = {"allowed_senders": [fleet.human.user_id]}
    async with wire(fleet, tmp_path, wired.inbox, **named).receiving() as other:
        fleet.human.say("named")
        world.say(fleet.channel, world.add_user("stranger"), "not named")
        await other.until_said("closed", "closed again", "named")
        await other.until(lambda: other.context.counts["refused_senders"] == 1)


async def test_a_role_that_opens_the_server_opens_the_channel_too(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world = fleet.server.world
    async with wire(fleet, tmp_path).receiving() as wired:
        everyone = world.roles[world.guild_id]
        everyone.permissions |= 1 << 3
        role = {"guild_id": world.guild_id, "role": everyone.json()}
        world.happened("GUILD_ROLE_UPDATE", role, None)
        await wired.until_status("down")


async def test_a_channel_that_is_not_there_is_down_until_it_is(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world = fleet.server.world
    async with wire(fleet, tmp_path, channel_id="123").receiving("down") as wired:
        assert "channel 123 is not there" in (wired.health.detail or "")
        assert "connector.discord.channel_id" in (wired.health.detail or "")
        heard = wired.health.last_receive
        fleet.human.say("said elsewhere, and not held for ever")
        await wired.until(lambda: wired.health.last_receive != heard)
        assert not wired.connector._worker._line.newest_said()
    async with wire(fleet, tmp_path, wired.inbox).receiving() as later:
        world.remove(fleet.channel)
        await later.until_status("down")
        world.channels[fleet.channel.id] = fleet.channel
        world.let_in(fleet.channel, fleet.bot)
        await later.until_status("ok")


async def test_what_was_said_while_we_were_shut_out_is_read_when_we_are_let_in_again(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world = fleet.server.world
    async with wire(fleet, tmp_path).receiving() as wired:
        world.let_in(fleet.channel, fleet.bot, 0, 0)
        await wired.until_status("down")
        fleet.human.say("behind the door")
        world.let_in(fleet.channel, fleet.bot)
        fleet.human.say("with the door open")
        await wired.until_said("behind the door", "with the door open")
        await wired.until_status("ok")


async def test_a_thread_or_another_kind_of_channel_cannot_be_the_channel(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    thread = fleet.human.open_thread(name="a thread")
    async with wire(fleet, tmp_path, channel_id=thread.id).receiving("down") as wired:
        assert "no text channel" in (wired.health.detail or "")
