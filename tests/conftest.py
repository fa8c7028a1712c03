"""The fixtures that every test may use: real servers, fresh users and rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
from hypothesis import settings
from structlog.dev import ConsoleRenderer, plain_traceback

from fleetchatd import logs
from tests.fakes.homeserver import FakeHomeserver, FakeMatrixRoom
from tests.fakes.profiles import CONDUIT
from tests.harness.daemon import Daemon
from tests.harness.rooms import Furnished, MakeDaemon, MakeRoom, Room, StartSynapse
from tests.harness.synapse import Synapse
from tests.harness.tmux import Tmux

# The same examples in every run, and none that fails because the machine was busy. To look for new
# ones: pytest --hypothesis-profile=default.
settings.load_profile("ci")


def pytest_configure() -> None:
    """Log plainly: a traceback with all locals, as structlog has it, takes most of a second."""
    *before, _ = structlog.get_config()["processors"]
    plain = ConsoleRenderer(exception_formatter=plain_traceback)
    structlog.configure(processors=[*before, plain])


@pytest.fixture(autouse=True)
def nothing_hidden() -> Iterator[None]:
    """A secret that one test hides, a short one perhaps, is not cut out of another's output."""
    yield
    logs._secrets.clear()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def synapse(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Synapse]:
    """The homeserver that all tests of one process share.

    Whoever kills or reconfigures one makes its own.
    """
    server = Synapse(tmp_path_factory.mktemp("synapse"))
    try:
        await server.start()
        yield server
    finally:
        await server.close()


@pytest_asyncio.fixture
async def own_synapse(tmp_path: Path) -> AsyncIterator[StartSynapse]:
    """Starts homeservers that belong to one test: `await own_synapse(rc_message=…)`."""
    servers: list[Synapse] = []

    async def start(**settings: Any) -> Synapse:
        server = Synapse(tmp_path / f"synapse{len(servers)}", **settings)
        servers.append(server)
        await server.start()
        return server

    try:
        yield start
    finally:
        for server in servers:
            await server.close()


@pytest.fixture
def make_room() -> MakeRoom:
    """Makes fresh users in a fresh room on any homeserver of the tests."""

    async def make(synapse: Synapse, *, joined: bool = True, **room: Any) -> Room:
        human = await synapse.human()
        bot = await synapse.register()
        room_id = await human.create_room(invite=[bot.user_id], **room)
        made = Room(synapse, room_id, human, bot)
        if joined:
            await made.bot_hands.join()
        return made

    return make


@pytest_asyncio.fixture
async def room(synapse: Synapse, make_room: MakeRoom) -> Room:
    """A fresh human and bot, alone in a fresh private room that the bot has joined."""
    return await make_room(synapse)


@pytest_asyncio.fixture
async def make_daemon(tmp_path: Path) -> AsyncIterator[MakeDaemon]:
    """Makes daemons in directories of their own."""
    daemons: list[Daemon] = []

    def make(
        room: Furnished | None = None,
        *,
        kind: str | None = "memory",
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        **settings: Any,
    ) -> Daemon:
        secrets: dict[str, str] = {}
        if room is not None:
            kind, settings = "matrix", room.settings | settings
            secrets = {"MATRIX_ACCESS_TOKEN": room.bot.access_token}
        directory = tmp_path / f"d{len(daemons)}"
        environment = secrets | dict(env or {})
        daemon = Daemon(directory, kind=kind, settings=settings, env=environment, args=args)
        daemons.append(daemon)
        return daemon

    try:
        yield make
    finally:
        for daemon in daemons:
            await daemon.close()


@pytest_asyncio.fixture
async def daemon(make_daemon: MakeDaemon) -> Daemon:
    """A running daemon with the memory connector."""
    made = make_daemon()
    await made.start()
    return made


@pytest_asyncio.fixture
async def daemon_in_room(make_daemon: MakeDaemon, room: Room) -> Daemon:
    """A running daemon in `room`, receiving."""
    made = make_daemon(room)
    await made.start()
    await made.api.wait_health(lambda health: health["connector"]["receiving"])
    return made


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeMatrixRoom]:
    """A human and a bot in a room of a scripted homeserver that answers as Synapse does."""
    async with FakeHomeserver() as server:
        yield server.furnish()


@pytest_asyncio.fixture
async def conduit() -> AsyncIterator[FakeMatrixRoom]:
    """The same on one that answers as the Conduit family does."""
    async with FakeHomeserver(CONDUIT) as server:
        yield server.furnish()


@pytest_asyncio.fixture
async def tmux(tmp_path: Path) -> AsyncIterator[Tmux]:
    """A tmux server of the test's own, started with its first session."""
    server = Tmux(tmp_path / "t")
    try:
        yield server
    finally:
        await server.close()
