from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd.connectors.discord import budget, websocket
from tests.fakes.discord.server import FakeDiscord, FakeDiscordChannel
from tests.unit.connectors.discord.wired import wire
from tests.unit.connectors.matrix.wired import Journalled


@pytest.fixture(autouse=True)
def no_heartbeats_left() -> Iterator[None]:
    """The library beats in a thread of its own, which must end with its connection."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("keep-alive-handler"):
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every life identifies; the rule of five seconds has tests of its own."""
    monkeypatch.setattr(budget, "EVERY_S", 0.0)
    monkeypatch.setattr(websocket, "INVALID_PAUSE_S", (0.0, 0.05))


@pytest_asyncio.fixture
async def fleet() -> AsyncIterator[FakeDiscordChannel]:
    """A person and a bot in a closed channel of a scripted Discord."""
    async with FakeDiscord() as server:
        server.gateway.identify_every_s = 0
        yield server.furnish()


@pytest_asyncio.fixture
async def contacted(fleet: FakeDiscordChannel, tmp_path: Path) -> Journalled:
    """What an earlier life journalled, which heard nothing: what is said now is missed."""
    async with wire(fleet, tmp_path).receiving() as wired:
        pass
    return wired.inbox
