"""The fixtures that every test may use: real servers, fresh users and rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio

from tests.harness.daemon import Daemon
from tests.harness.human import Account, Human
from tests.harness.synapse import Synapse


@dataclass(frozen=True)
class Room:
    """A private room of a human and the bot that the daemon is to be."""

    synapse: Synapse
    room_id: str
    human: Human
    bot: Account

    @property
    def bot_hands(self) -> Human:
        """The bot's account as a scripted client, for a test that acts in its place."""
        return Human(self.synapse.base_url, self.bot, self.room_id)

    @property
    def settings(self) -> dict[str, Any]:
        """The roster's block that means this room."""
        return {
            "homeserver_url": self.synapse.base_url,
            "user_id": self.bot.user_id,
            "room_id": self.room_id,
        }

    async def said_by_bot(self) -> list[str]:
        """What people see of the bot, oldest first."""
        return await self.human.texts(sender=self.bot.user_id)


class MakeRoom(Protocol):
    """Makes a fresh human, bot and room; `room` is passed to `Human.create_room`."""

    def __call__(
        self, synapse: Synapse, *, joined: bool = True, **room: Any
    ) -> Awaitable[Room]: ...


StartSynapse = Callable[..., Awaitable[Synapse]]


class MakeDaemon(Protocol):
    """Makes a daemon that ends with the test; it is not started yet.

    With `room`, its connector is Matrix in that room, as that room's bot; `settings` are merged
    into the connector's block and `env` into the environment.
    """

    def __call__(
        self,
        room: Room | None = None,
        *,
        kind: str | None = ...,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        **settings: Any,
    ) -> Daemon: ...


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def synapse(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Synapse]:
    """The homeserver that all tests share. Whoever kills or reconfigures one makes its own."""
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
        room: Room | None = None,
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
