"""The way to Discord's gateway: connections that come and go, and the session that outlives them.

discord.py's socket speaks the protocol: heartbeats, compression, opcodes. Its loop around that is
not used: it pauses for up to 17 minutes, identifies without a look at the budget, and dies when its
first connection fails. So the loop is here, with the pauses that both directions share.

    connect ─▶ identify, or resume a session ─▶ hear until the connection ends ─┐
       ▲ a pause                                                                │
       └────────────────────────────────────────────────────────────────────────┘
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Protocol

import aiohttp
import orjson
import structlog
from discord import ConnectionClosed
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from yarl import URL

from fleetchatd.connectors.discord.budget import Budget, Spent, is_gateway
from fleetchatd.connectors.discord.rest import Refused, Rest, Unreachable
from fleetchatd.connectors.network import why
from fleetchatd.connectors.pauses import Pauses, pause_s
from fleetchatd.connectors.untrusted import mapping_of, text_of

CONNECT_TIMEOUT_S = 30.0
GREETING_TIMEOUT_S = 60.0
"""How long READY or RESUMED, and all that is replayed before that, may take, in seconds."""

HANG_UP_S = 1.0

INVALID_PAUSE_S = (1.0, 5.0)
"""How long to wait after an invalid session, at random ("Resuming")."""

BRIEF_S = 10.0
"""Connections that end sooner than so many seconds after their greeting are no success."""

RESUME_TRIES = 20
"""So many connections in a row may fail before the session is given up for a new one."""

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

log = structlog.get_logger("fleetchatd.connector")


REFUSED_TOKEN = 4004

_SILENT = "the gateway is silent"


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


class Listener(Protocol):
    """Who hears what the gateway tells."""

    def heard(self, name: str, data: Mapping[Any, Any], session_id: str, seq: int) -> None:
        """A dispatch, in the order of the session."""

    def acknowledged(self) -> None:
        """The gateway answered: the connection lives."""

    def lost(self, reason: str, *, reachable: bool) -> None:
        """What is said now does not reach us; it is being mended."""


@dataclass(slots=True)
class Session:
    """What can be resumed, and from where."""

    id: str
    url: str
    seq: int


class Gateway:
    """The gateway, for one bot.

    Attributes:
        session: the present one; None before the first, and after one that became invalid.
        line: the present connection, if any.
    """

    def __init__(self, budget: Budget, pauses: Pauses, listener: Listener) -> None:
        self.session: Session | None = None
        self.line: _Socket | None = None
        self._listener = listener
        self._budget = budget
        self._pauses = pauses
        self._failures = 0
        self._greeted_at: float | None = None
        self._brief = 0
        self._url = ""
        self._patience: asyncio.Timeout | None = None

    def rewind(self, session_id: str, seq: int) -> None:
        """Have what came after `seq` told again, if that session is still the present one."""
        if self.session is not None and self.session.id == session_id:
            self.session.seq = min(self.session.seq, seq)

    async def run(self, rest: Rest) -> NoReturn:
        """Keep connected until cancelled.

        Raises:
            Fatal: Discord will have none of us.
        """
        while True:
            try:
                await self._connected(rest)
            except Exception as error:  # of the network, or of a library at odds with what came
                ending = _ending(error)
                log.debug("the gateway's connection ended", exc_info=True)
            self._failures += 1
            if ending.invalid or self._failures > RESUME_TRIES:
                self.session = None
            self._listener.lost(ending.reason, reachable=ending.reachable)
            await self._pauses.wait(self._patient(ending.wait_s))

    def _patient(self, wait_s: float | None) -> float | None:
        """Pause longer and longer where one connection after another is greeted and ended."""
        greeted_at, self._greeted_at = self._greeted_at, None
        if greeted_at is None:
            return wait_s
        lasted_s = asyncio.get_running_loop().time() - greeted_at
        self._brief = self._brief + 1 if lasted_s < BRIEF_S else 0
        if self._brief < 2:
            return wait_s
        jitter = random.random()  # noqa: S311 - not for secrecy
        return max(wait_s or 0.0, pause_s(self._brief, jitter))

    async def _connected(self, rest: Rest) -> NoReturn:
        """Connect once, and hear until the connection ends, which raises."""
        session = self.session
        if session is None:
            self._url = await self._budget.turn(rest)
            how: dict[str, Any] = {"initial": True}
        else:
            self._url = session.url
            how = {"session": session.id, "sequence": session.seq, "resume": True}
        _watching.set(self)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                line = await _Socket.from_client(rest.client, gateway=URL(self._url), **how)
            async with asyncio.timeout(GREETING_TIMEOUT_S) as self._patience:
                while True:
                    await line.poll_event()
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        self._patience = None
        line, self.line = self.line, None
        if line is not None:
            # Any code but 1000 leaves the session as it is. A dead line would take its time.
            with suppress(Exception):
                async with asyncio.timeout(HANG_UP_S):
                    await line.close(4000)

    # -- what the connection tells ----------------------------------------------------------------

    def spend(self) -> None:
        """An IDENTIFY goes out now."""
        self._budget.spend()

    def frame(self, frame: Mapping[Any, Any]) -> None:
        """Something came."""
        self._listener.acknowledged()
        name, seq = frame.get("t"), frame.get("s")
        if frame.get("op") != DiscordWebSocket.DISPATCH or type(seq) is not int:
            return
        data = mapping_of(frame.get("d"))
        if name == "READY":
            self.session = Session(text_of(data.get("session_id")), self._resume_url(data), seq)
        if self.session is None:
            return
        self.session.seq = seq
        if name in ("READY", "RESUMED"):
            self._failures = 0
            self._greeted_at = asyncio.get_running_loop().time()
            self._pauses.succeeded()
            if self._patience is not None:
                self._patience.reschedule(None)
        self._listener.heard(text_of(name), data, self.session.id, seq)

    def _resume_url(self, ready: Mapping[Any, Any]) -> str:
        url = ready.get("resume_gateway_url")
        return text_of(url) if is_gateway(url) else self._url

    def deaf(self) -> None:
        """A heartbeat was not acknowledged before the next: nobody is at the other end."""
        if self._patience is not None:
            self._listener.lost(_SILENT, reachable=False)
            self._patience.reschedule(asyncio.get_running_loop().time())


class _Ending(NamedTuple):
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


def _ending(error: Exception) -> _Ending:
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
            return _Ending("the gateway's session became invalid", True, True, wait_s)
        case ReconnectWebSocket() | ConnectionClosed():
            return _Ending("the connection to the gateway was lost")
        case Spent():
            return _Ending(str(error), reachable=True, wait_s=error.wait_s)
        case Refused() if error.unwelcome:
            raise unwelcome(error)
        case Refused():
            return _Ending(f"cannot find the gateway: {error}", wait_s=error.retry_after_s)
        case Unreachable():
            return _Ending(f"cannot reach Discord: {error}")
        case TimeoutError():
            return _Ending(_SILENT)
        case _:
            return _Ending(f"cannot keep up the connection to the gateway: {why(error)}")


_watching: ContextVar[Gateway] = ContextVar("_watching")


class _Socket(DiscordWebSocket):
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
        frame = mapping_of(orjson.loads(data))
        if frame.get("op") == self.HELLO:
            self._unanswered = True  # the library answers with its first heartbeat at once
        elif frame.get("op") == self.HEARTBEAT_ACK:
            self._unanswered = False
        self._watcher.frame(frame)

    async def poll_event(self) -> None:
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
        self._watcher.spend()
        await super().identify()
