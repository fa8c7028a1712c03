"""The Discord connector alone, wired to a scripted Discord: no daemon, no journal, no process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fleetchatd.connectors.discord.connector import DiscordConnector
from fleetchatd.model import Secret
from tests.fakes.discord.server import FakeDiscordChannel
from tests.unit.connectors.matrix.wired import Journalled, Keyring, Wired


def wire(
    fleet: FakeDiscordChannel, state_dir: Path, inbox: Journalled | None = None, **more: Any
) -> Wired:
    """A connector that is the bot of a channel; `more` goes into its settings."""
    keyring = Keyring(Secret(fleet.bot.token), "discord_bot_token")
    return Wired(fleet.settings | more, keyring, state_dir, inbox, DiscordConnector.create)
