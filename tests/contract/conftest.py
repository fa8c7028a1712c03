from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
DRIVERS = (*WITH_EDITS, "tmux")

NEEDS = {"has_edits": WITH_EDITS, "has_echo": WITH_EDITS, "can_break": BREAKABLE}
"""What not every chat has: that what was said can be changed; that our own words come back as an
echo; an outage. Who has it; a plug-in's driver has an attribute of that name."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--driver",
        metavar="MODULE:CLASS",
        help="run the contract suite on a plug-in: its driver (docs/how-to/write-a-connector.md)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(what): only for chats that have it (NEEDS)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on every chat that has what the test needs; with --driver on that one alone."""
    if "make_driver" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("needs")
    needed: str | None = marker and marker.args[0]
    chats: list[object] = list(NEEDS[needed] if needed else DRIVERS)
    if plug_in := metafunc.config.getoption("driver"):
        lacks = needed is not None and not getattr(driver_class(plug_in), needed)
        skip = pytest.mark.skipif(lacks, reason=f"{needed} is False")
        chats = [pytest.param(plug_in, marks=skip)]
    metafunc.parametrize("make_driver", chats, indirect=True)


def driver_class(name: str) -> Any:
    """The driver of a plug-in: a `Driver` with `start`, and with all that is in `NEEDS`."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


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


@pytest.fixture
def make_driver(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MakeDriver:
    """A chat with a person in it; the real server is started only for those who want it."""
    if ":" in request.param:

        async def plug_in(stack: AsyncExitStack) -> Driver:
            driver: Driver = await stack.enter_async_context(driver_class(request.param).start())
            return driver

        return plug_in

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
