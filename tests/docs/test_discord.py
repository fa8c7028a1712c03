"""Discord set up as its page says, on a scripted Discord."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.docs.shell import Newcomer
from tests.fakes.discord.server import FakeDiscord, FakeDiscordChannel
from tests.harness.documents import tested_blocks


@pytest_asyncio.fixture
async def fleet(newcomer: Newcomer) -> AsyncIterator[FakeDiscordChannel]:
    """A person and a bot in a channel, which the newcomer's commands find in place of Discord's."""
    async with FakeDiscord() as server:
        for command in ("--connector discord", "login discord"):
            newcomer.instead[command] = f"{command} --api-url {server.api_url}"
        made = server.furnish()
        newcomer.instead["1234567890123456789"] = made.channel.id
        yield made


async def test_discord_is_set_up_as_its_page_says(
    newcomer: Newcomer, fleet: FakeDiscordChannel
) -> None:
    init, daemon, doctor = tested_blocks("test_discord_is_set_up_as_its_page_says")
    pane = await newcomer.terminal(init)
    await pane.shows("Log in to the bot's account")
    await pane.keys("Enter")
    await pane.shows("Token:")
    await pane.submit(fleet.bot.token)
    await pane.shows(f"logged in as {fleet.bot.username}")
    await pane.shows("channel_id:")
    await pane.submit(fleet.channel.id)
    await pane.shows("Write this into")
    await pane.submit("y")
    shown = await pane.shows("next: fleetchatd")
    assert fleet.bot.token not in shown
    assert fleet.server.gateway.identifies == []

    newcomer.leave_running(daemon)
    await newcomer.until_well()
    said = await newcomer.type(doctor)
    assert "0 warnings, 0 errors" in said
    assert len(fleet.said_by_bot()) == 1


async def test_discord_is_set_up_without_a_terminal(
    newcomer: Newcomer, fleet: FakeDiscordChannel
) -> None:
    (newcomer.home / "token-file").write_text(f"{fleet.bot.token}\n")
    said = await newcomer.type(*tested_blocks("test_discord_is_set_up_without_a_terminal"))
    assert f"logged in as {fleet.bot.username}" in said
    assert "next: fleetchatd" in said
    assert fleet.bot.token not in said
