"""What several files of integration tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd.tmux import submission
from tests.fakes.discord.server import FakeDiscord
from tests.harness.console import Stage
from tests.harness.daemon import Daemon
from tests.harness.fleet import Fleet
from tests.harness.home import Home
from tests.harness.rooms import MakeDaemon
from tests.harness.tmux import Tmux

MakeFleet = Callable[..., Fleet]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Of somebody who has never used fleetchatd."""
    return Home(tmp_path / "h")


@pytest_asyncio.fixture
async def echoing(make_daemon: MakeDaemon) -> AsyncIterator[Daemon]:
    """A running daemon in whose chat every message is answered by repeating it."""
    made = make_daemon(echo=True)
    await made.start()
    yield made
    assert "Traceback" not in made.log_text


@pytest_asyncio.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    """A scripted Discord, without a channel yet."""
    async with FakeDiscord() as server:
        yield server


@pytest_asyncio.fixture
async def make_fleet(tmux: Tmux, tmp_path: Path) -> AsyncIterator[MakeFleet]:
    """Makes a daemon on the tmux kind, with these settings, on the test's tmux server."""
    fleets: list[Fleet] = []

    def make(**settings: object) -> Fleet:
        fleets.append(Fleet(tmux, tmp_path / f"d{len(fleets)}", **settings))
        return fleets[-1]

    yield make
    for fleet in fleets:
        await fleet.daemon.close()
        assert "Traceback" not in fleet.daemon.log_text


@pytest_asyncio.fixture
async def fleet(make_fleet: MakeFleet) -> Fleet:
    """A running daemon, and an operator at the console that it has started."""
    made = make_fleet()
    await made.start()
    return made


@pytest_asyncio.fixture
async def stage(tmux: Tmux, tmp_path: Path) -> AsyncIterator[Stage]:
    """A console to be opened; its daemon is played by hand."""
    made = Stage(tmux, tmp_path)
    try:
        yield made
    finally:
        await made.daemon_leaves()


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits for a program to take what is typed, for what is to go wrong."""
    monkeypatch.setattr(submission, "READY_S", 0.3)
    monkeypatch.setattr(submission, "SETTLE_S", (0.12, 0.12, 0.12))
    monkeypatch.setattr(submission, "UNREAD_S", 0.3)
