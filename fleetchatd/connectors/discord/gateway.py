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
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import structlog

from fleetchatd.connectors.discord.budget import Budget, is_gateway
from fleetchatd.connectors.discord.rest import Rest
from fleetchatd.connectors.discord.websocket import SILENT, Socket, connect, ending_of
from fleetchatd.connectors.pauses import Pauses, pause_s
from fleetchatd.connectors.untrusted import mapping_of, text_of

CONNECT_TIMEOUT_S = 30.0
GREETING_TIMEOUT_S = 60.0
"""How long READY or RESUMED, and all that is replayed before that, may take, in seconds."""

HANG_UP_S = 1.0

BRIEF_S = 10.0
"""Connections that end sooner than so many seconds after their greeting are no success."""

RESUME_TRIES = 20
"""So many connections in a row may fail before the session is given up for a new one."""

log = structlog.get_logger("fleetchatd.connector")


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
        self.line: Socket | None = None
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
                ending = ending_of(error)
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
        self._url = await self._budget.turn(rest) if session is None else session.url
        resume = None if session is None else (session.id, session.seq)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                line = await connect(self, rest.client, self._url, resume)
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
        if frame.get("op") != Socket.DISPATCH or type(seq) is not int:
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
            self._listener.lost(SILENT, reachable=False)
            self._patience.reschedule(asyncio.get_running_loop().time())
