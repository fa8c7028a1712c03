"""Daemons in a channel of a scripted Discord."""

from __future__ import annotations

from typing import Any

from tests.fakes.discord.server import FakeDiscordChannel
from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon


def daemon_in_channel(make_daemon: MakeDaemon, fleet: FakeDiscordChannel, **more: Any) -> Daemon:
    """A daemon that is the channel's bot, not started yet; `more` goes into its settings."""
    settings = fleet.settings | more
    return make_daemon(kind="discord", env={"DISCORD_BOT_TOKEN": fleet.bot.token}, **settings)


async def until_ok(daemon: Daemon) -> None:
    """Wait until what is said would reach the daemon; it may have to wait to identify."""
    await daemon.api.wait_health(lambda health: health["status"] == "ok")
