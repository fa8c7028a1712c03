"""What several files of integration tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio

from tests.harness.fleet import Fleet
from tests.harness.tmux import Tmux

MakeFleet = Callable[..., Fleet]


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


@pytest_asyncio.fixture
async def fleet(make_fleet: MakeFleet) -> Fleet:
    """A running daemon, and an operator at the console that it has started."""
    made = make_fleet()
    await made.start()
    return made
