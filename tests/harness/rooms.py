"""What the fixtures of tests/conftest.py give: rooms with people in them, and makers of things."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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


class Furnished(Protocol):
    """A room that a daemon can be put into, for tests of both: a `Room` or a `FakeMatrixRoom`."""

    async def said_by_bot(self) -> list[str]: ...

    @property
    def room_id(self) -> str: ...

    @property
    def human(self) -> Human: ...

    @property
    def bot_hands(self) -> Human: ...

    @property
    def settings(self) -> dict[str, Any]: ...

    @property
    def bot(self) -> Account: ...


class MakeRoom(Protocol):
    """Makes a fresh human, bot and room; `room` is passed to `Human.create_room`."""

    def __call__(
        self, synapse: Synapse, *, joined: bool = True, **room: Any
    ) -> Awaitable[Room]: ...


StartSynapse = Callable[..., Awaitable[Synapse]]


class MakeDaemon(Protocol):
    """Makes a daemon that ends with the test; it is not started yet.

    With `room`, real or scripted, its connector is Matrix in that room, as that room's bot;
    `settings` are merged into the connector's block and `env` into the environment.
    """

    def __call__(
        self,
        room: Furnished | None = None,
        *,
        kind: str | None = ...,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
        **settings: Any,
    ) -> Daemon: ...
