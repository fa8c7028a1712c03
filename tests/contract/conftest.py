from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd.connectors.discord import budget
from tests.contract.drivers import DiscordDriver, Driver, MatrixDriver, MemoryDriver
from tests.contract.stage import Stage
from tests.fakes.discord.server import FakeDiscord
from tests.fakes.homeserver import FakeHomeserver
from tests.fakes.profiles import CONDUIT, SYNAPSE, Profile
from tests.harness.rooms import MakeRoom

MakeDriver = Callable[[AsyncExitStack], Awaitable[Driver]]

UNBREAKABLE = ("memory", pytest.param("matrix", marks=pytest.mark.synapse))
BREAKABLE = ("matrix-scripted", "matrix-conduit", "discord")
DRIVERS = (*UNBREAKABLE, *BREAKABLE)


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
def make_driver(request: pytest.FixtureRequest) -> MakeDriver:
    """A chat with a person in it; the real server is started only for those who want it."""
    if request.param == "matrix":
        server = request.getfixturevalue("synapse")
        make_room: MakeRoom = request.getfixturevalue("make_room")

        async def real(stack: AsyncExitStack) -> Driver:
            return MatrixDriver(await make_room(server))

        return real
    return {
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
