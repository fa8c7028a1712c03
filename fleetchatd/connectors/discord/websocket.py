"""One connection to Discord's gateway, and how it ended.

It is discord.py's, with an ear for what that does not tell.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

import aiohttp
from discord import Client, ConnectionClosed
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from yarl import URL

from fleetchatd.connectors.discord.budget import Spent
from fleetchatd.connectors.discord.rest import Refused, Unreachable
from fleetchatd.connectors.network import why
from fleetchatd.connectors.untrusted import json_of, mapping_of

INVALID_PAUSE_S = (1.0, 5.0)
"""How long to wait after an invalid session, at random ("Resuming")."""

NEW_SESSION = (4007, 4009)
"""Close codes after which the same session cannot be resumed."""

FATAL: Mapping[int, str] = {
    4004: "the bot token is refused; run `fleetchat login discord`, or give another "
    "($DISCORD_BOT_TOKEN, or the credential discord_bot_token), and reload",
    4010: "the shard is refused; report this, and reload",
    4011: "the bot is in too many guilds for one connection; use a bot of its own, and reload",
    4012: "this version of the API is gone; install a newer fleetchatd",
    4013: "the intents are not understood; report this, and reload",
    4014: "an intent is not allowed; switch on Message Content Intent for the bot in Discord's "
    "developer portal, and reload",
}
"""Close codes that mean the same however often one connects, and what to do."""

REFUSED_TOKEN = 4004

SILENT = "the gateway is silent"


class Fatal(Exception):  # noqa: N818 - reads as the outcome that it is
    """A person must act; connecting again would only spend the budget.

    Attributes:
        authenticated: the token is good all the same.
    """

    def __init__(self, sentence: str, *, authenticated: bool) -> None:
        super().__init__(sentence)
        self.authenticated = authenticated


def unwelcome(reason: object) -> Fatal:
    """What to do about a token that is refused."""
    return Fatal(f"{reason}: {FATAL[REFUSED_TOKEN]}", authenticated=False)


class Watcher(Protocol):
    """Who is told what happens on the connection.

    Attributes:
        line: the connection, from its first frame on.
    """

    line: Socket | None

    def spend(self) -> None:
        """An IDENTIFY goes out now."""

    def frame(self, frame: Mapping[Any, Any]) -> None:
        """Something came."""

    def deaf(self) -> None:
        """A heartbeat was not acknowledged before the next: nobody is at the other end."""


# The library makes the socket, so nothing can be handed to it.
_watching: ContextVar[Watcher] = ContextVar("_watching")


class Socket(DiscordWebSocket):
    """One connection: the library's, with an ear for what it does not tell."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, *, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(socket, loop=loop)
        self._watcher = _watching.get()
        self._watcher.line = self
        self._unanswered = False

    def log_receive(self, data: Any, /) -> None:
        """See every frame, as text, before the library does."""
        frame = mapping_of(json_of(data))
        if frame.get("op") == self.HELLO:
            self._unanswered = True  # the library answers with its first heartbeat at once
        elif frame.get("op") == self.HEARTBEAT_ACK:
            self._unanswered = False
        self._watcher.frame(frame)

    async def poll_event(self) -> None:
        """Work off one frame. The library would resume a session that was closed for good."""
        try:
            await super().poll_event()
        except ReconnectWebSocket:
            if self.socket.close_code in NEW_SESSION:
                raise ReconnectWebSocket(None, resume=False) from None
            raise

    async def send_heartbeat(self, data: Any) -> None:
        """The next heartbeat falls due. The library takes any frame for a sign of life."""
        if self._unanswered:
            self._watcher.deaf()
            return
        self._unanswered = True
        await super().send_heartbeat(data)

    async def identify(self) -> None:
        """Begin a session, which takes one from the day's budget."""
        self._watcher.spend()
        await super().identify()


async def connect(
    watcher: Watcher, client: Client, url: str, resume: tuple[str, int] | None
) -> Socket:
    """Open a connection, and begin a session or resume one.

    Args:
        watcher: is told what happens on it, from its first frame on.
        client: the library's.
        url: where the gateway is.
        resume: session and number of the last dispatch; None for a new session.
    """
    _watching.set(watcher)
    how: dict[str, Any] = {"initial": True}
    if resume is not None:
        how = {"session": resume[0], "sequence": resume[1], "resume": True}
    return await Socket.from_client(client, gateway=URL(url), **how)


class Ending(NamedTuple):
    """How a connection ended.

    Attributes:
        reachable: the gateway was there to the end.
        invalid: so did the session.
        wait_s: how long to wait at least before the next, in seconds.
    """

    reason: str
    reachable: bool = False
    invalid: bool = False
    wait_s: float | None = None


def ending_of(error: Exception) -> Ending:
    """What became of a connection.

    Raises:
        Fatal: another would end in the same way.
    """
    match error:
        case ConnectionClosed(code=code) if code in FATAL:
            raise Fatal(
                f"Discord closed the gateway ({code}): {FATAL[code]}",
                authenticated=code != REFUSED_TOKEN,
            )
        case ReconnectWebSocket(resume=False):
            wait_s = random.uniform(*INVALID_PAUSE_S)  # noqa: S311 - not for secrecy
            return Ending("the gateway's session became invalid", True, True, wait_s)
        case ReconnectWebSocket() | ConnectionClosed():
            return Ending("the connection to the gateway was lost")
        case Spent():
            return Ending(str(error), reachable=True, wait_s=error.wait_s)
        case Refused() if error.unwelcome:
            raise unwelcome(error)
        case Refused():
            return Ending(f"cannot find the gateway: {error}", wait_s=error.retry_after_s)
        case Unreachable():
            return Ending(f"cannot reach Discord: {error}")
        case TimeoutError():
            return Ending(SILENT)
        case json.JSONDecodeError():
            return Ending("the gateway sent what is no JSON")
        case _:
            return Ending(f"cannot keep up the connection to the gateway: {why(error)}")
