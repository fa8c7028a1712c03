"""A daemon over several lives: one that ends where it was told to, and the next one."""

from __future__ import annotations

import aiohttp

from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import Filter
from tests.harness.daemon import Daemon


async def receiving(daemon: Daemon) -> None:
    """Wait until it hears its chat."""
    await daemon.api.wait_health(lambda health: health["connector"]["receiving"])


async def met(daemon: Daemon) -> None:
    """Have it meet the chat once, so that every later life goes on from there."""
    await daemon.start()
    await receiving(daemon)
    await daemon.terminate()


async def next_life(daemon: Daemon) -> None:
    """Start it again, to live this time."""
    daemon.death = None
    await daemon.start()
    await receiving(daemon)


async def post(daemon: Daemon, text: str, key: str) -> str | None:
    """Send under a key; the id, or None if the daemon died without an answer."""
    try:
        return str((await daemon.api.send(text, key=key))["id"])
    except (aiohttp.ClientError, ConnectionError):
        return None


async def on_disk(daemon: Daemon) -> int:
    """How many messages of people the journal holds, while no daemon runs."""
    journal = SqliteJournal(daemon.state_dir / "journal.db")
    try:
        page = journal.events_after(0, Filter(frozenset({"message"})), 1 << 30)
        return page.lines.count(b"\n")
    finally:
        await journal.close()
