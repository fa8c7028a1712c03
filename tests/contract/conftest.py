from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from fleetchatd.connectors.discord import budget
from tests.contract.drivers import DiscordDriver, Driver, MatrixDriver, MemoryDriver, TmuxDriver
from tests.contract.stage import Stage
from tests.fakes.discord.server import FakeDiscord
from tests.fakes.homeserver import FakeHomeserver
from tests.fakes.profiles import CONDUIT, SYNAPSE, Profile
from tests.harness.rooms import MakeRoom
from tests.harness.tmux import Tmux

MakeDriver = Callable[[AsyncExitStack], Awaitable[Driver]]

UNBREAKABLE = ("memory", pytest.param("matrix", marks=pytest.mark.synapse))
BREAKABLE = ("matrix-scripted", "matrix-conduit", "discord")
WITH_EDITS = (*UNBREAKABLE, *BREAKABLE)
"""Chats where what was said can be changed, and our own words come back as an echo."""

DRIVERS = (*WITH_EDITS, "tmux")


def scripted(profile: Profile) -> MakeDriver:
    async def make(stack: AsyncExitStack) -> Driver:
        server = await stack.enter_async_context(FakeHomeserver(profile))
        return MatrixDriver(server.furnish())

    return make


async def memory(stack: AsyncExitStack) -> Driver:
    return MemoryDriver()


async def discord(stack: AsyncExitStack) -> Driver:
    server = await stack.enter_async_context(FakeDiscord())
    # Every life identifies: the rule of five seconds has tests of its own.
    server.gateway.identify_every_s = 0
    stack.enter_context(pytest.MonkeyPatch.context()).setattr(budget, "EVERY_S", 0)
    return DiscordDriver(server.furnish())


@pytest.fixture(params=DRIVERS)
def make_driver(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MakeDriver:
    """A chat with a person in it; the real server is started only for those who want it."""
    if request.param == "matrix":
        server = request.getfixturevalue("synapse")
        make_room: MakeRoom = request.getfixturevalue("make_room")

        async def real(stack: AsyncExitStack) -> Driver:
            return MatrixDriver(await make_room(server))

        return real

    async def tmux(stack: AsyncExitStack) -> Driver:
        # A socket's path must be short.
        folder = stack.enter_context(TemporaryDirectory(prefix="fleetchat-"))
        server = Tmux(Path(folder))
        stack.push_async_callback(server.close)
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        await server.session("_holder", "cat")  # as a fleet's server has one
        return TmuxDriver(server, tmp_path)

    return {
        "tmux": tmux,
        "memory": memory,
        "matrix-scripted": scripted(SYNAPSE),
        "matrix-conduit": scripted(CONDUIT),
        "discord": discord,
    }[request.param]


@pytest_asyncio.fixture
async def stage(make_driver: MakeDriver, tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        made = Stage(await make_driver(stack), tmp_path)
        try:
            yield made
        finally:
            async with asyncio.timeout(10):
                await made.close()
