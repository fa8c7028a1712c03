"""The tmux connector: the operator's pane, watched and written to through one connection.

subscribe:  the spool ─▶ the session, started if missing ─▶ look ─▶ read ─▶ wait ─┐
               ▲ any error, after a pause                   ▲────── woken ────────┘

What runs in the pane decides how: the console leaves what was said in the spool and confirms what
it has shown; any other program is read off its screen and typed into (fleetchatd/tmux).
"""

from __future__ import annotations

import asyncio
import re
import shlex
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import structlog

from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.connectors.tmux import session
from fleetchatd.connectors.tmux.console_pane import Confirmations
from fleetchatd.connectors.tmux.desk import Desk
from fleetchatd.connectors.tmux.intake import KIND, Intake
from fleetchatd.connectors.tmux.outgoing import Outgoing
from fleetchatd.connectors.tmux.settings import SCHEMA, SECRETS
from fleetchatd.connectors.tmux.situation import Occupant, Situation, situation
from fleetchatd.connectors.tmux.watch import Watch
from fleetchatd.model import ConnectorHealth, OutboundPart, SendResult
from fleetchatd.tmux.badge import Badge
from fleetchatd.tmux.errors import NoTmuxError, TmuxError
from fleetchatd.tmux.marks import Mark
from fleetchatd.tmux.protocol import quoted
from fleetchatd.tmux.server import Server
from fleetchatd.tmux.spool import STATE_DIR_OPTION, Names, Spool, SpoolError, is_submission_id

SPACING_S = 0.005
PROGRAM_SPACING_S = 0.1
"""The shortest time between two looks, in seconds."""

LOOKING_SHARE = 0.1
"""The greatest part of the time that is spent on looking at a program that never rests."""

STRANGE_S = 5.0
"""How long a console may be there without connecting with us, in seconds, before that is odd."""

STEADY_S = 2.0
"""A session that we started and that lasts so long, in seconds, was no false start."""

log = structlog.get_logger("fleetchatd.connector")


class TmuxConnector:
    """One session on one tmux server (contract §6)."""

    kind: ClassVar[str] = KIND
    settings_schema: ClassVar[Mapping[str, Any]] = SCHEMA
    secrets: ClassVar[Sequence[str]] = SECRETS

    def __init__(self, settings: Mapping[str, Any], context: Context) -> None:
        self._context = context
        self._session: str = settings.get("session", "operator")
        self._server = Server(settings.get("socket_name") or context.tmux_socket_name)
        self._command = settings.get("command") or session.console_command(context.state_dir)
        here = socket.gethostname().partition(".")[0]
        self._names = Names(
            operator=_address(here, self._session),
            orchestrator=_address(context.host, context.orchestrator),
        )
        self._spool = Spool(context.state_dir)
        self._desk = Desk(self._spool, self._wake)
        self._intake = Intake(self._session, self._names, self._spool, self._desk, context.pauses)
        self._confirmations = Confirmations(self._spool)
        self._outgoing = Outgoing(
            self._names, self._spool, self._confirmations, lambda: self._watch, self._judge
        )
        self._watch: Watch | None = None
        self._pane_id: str | None = None
        self._started_at: float | None = None
        self._alone: tuple[Badge, float] | None = None
        self._health = ConnectorHealth(
            "degraded", reachable=False, authenticated=False, receiving=False, detail="connecting"
        )

    @classmethod
    def create(cls, settings: Mapping[str, Any], context: Context) -> Self:
        """Make one from its block in the roster; opens no connection."""
        return cls(settings, context)

    @property
    def target(self) -> str:
        """The server and the session."""
        return f"{KIND} {self._server.socket} {self._session}"

    def health(self) -> ConnectorHealth:
        """What it can truthfully say of itself now."""
        return self._health

    async def close(self) -> None:
        """Let go of the session, which stays as it is; consoles see that we are away."""
        self._desk.close()

    # -- receiving ----------------------------------------------------------------------------

    async def subscribe(self, inbox: Inbox) -> None:
        """Receive until cancelled, surviving the end of every process in and around the pane."""
        self._intake.position = await inbox.position()
        while True:
            try:
                await self._receive(inbox)
            except (TmuxError, SpoolError, OSError) as error:
                self._troubled(error)
            await self._context.pauses.wait()

    async def _receive(self, inbox: Inbox) -> None:
        self._spool.make()
        self._spool.write_names(self._names)
        self._spool.forget_old_acks()
        self._spool.forget_partials()
        self._desk.open()
        await self._intake.take_submissions(inbox)  # the spool needs no tmux
        if await session.ensure(self._server, self._session, self._command):
            loop = asyncio.get_running_loop()
            self._started_at = loop.time()
            loop.call_later(STEADY_S, self._wake)  # whatever it is then, it is no beginning
        watch = await Watch.open(
            self._server, self._session, self._pane_id, self._confirmations.check
        )
        self._watch = watch
        try:
            await self._say_where(watch)
            while True:
                await watch.until_woken(await self._take_in(watch, inbox))
                await watch.look()
        finally:
            self._watch = None
            self._confirmations.give_up("the connection to tmux ended before it was confirmed")
            await asyncio.shield(watch.close())

    async def _say_where(self, watch: Watch) -> None:
        """Tell consoles that are started by hand which state directory is ours."""
        where = quoted(str(self._context.state_dir.resolve()))
        target = quoted(f"={self._session}:")
        await watch.client.run(f"set-option -t {target} {STATE_DIR_OPTION} {where}")

    def _wake(self) -> None:
        if self._watch is not None:
            self._watch.wake()

    async def _take_in(self, watch: Watch, inbox: Inbox) -> float:
        """See what is new in the pane as it stood at the last look.

        Returns:
            How long after that look the next one may come, in seconds.
        """
        present = self._judge(watch)
        await self._intake.take_submissions(inbox)
        self._confirmations.check()
        if present.occupant is not Occupant.CONSOLE:
            self._confirmations.give_up("the console ended before it confirmed it")
        spacing_s = SPACING_S
        if watch.pane.badge is None:
            begun = time.monotonic()
            await self._intake.read_screen(watch, inbox)
            spacing_s = max(PROGRAM_SPACING_S, (time.monotonic() - begun) / LOOKING_SHARE)
        self._show(present)
        return spacing_s

    # -- health -------------------------------------------------------------------------------

    def _judge(self, watch: Watch) -> Situation:
        self._pane_id = watch.pane.id
        stranger = self._is_stranger(watch.pane.console)
        present = situation(watch.pane, watch.unsafe, stranger=stranger)
        if present.occupant is not Occupant.CONSOLE and self._is_beginning():
            return replace(present, ready=False)  # what will be there is still being started
        return present

    def _is_stranger(self, console: Badge | None) -> bool:
        """Whether a console that runs is none of ours: ours connects within a second or so."""
        if console is None or self._desk.serves(console.pid):
            self._alone = None
            return False
        loop = asyncio.get_running_loop()
        if self._alone is None or self._alone[0] != console:
            self._alone = (console, loop.time())
            loop.call_later(STRANGE_S, self._wake)
        return loop.time() - self._alone[1] >= STRANGE_S

    def _is_beginning(self) -> bool:
        """Whether we have just started the session."""
        now = asyncio.get_running_loop().time()
        return self._started_at is not None and now - self._started_at < STEADY_S

    def _show(self, present: Situation) -> None:
        now = asyncio.get_running_loop().time()
        if not self._is_beginning():
            self._context.pauses.succeeded()
        elif not present.ready:
            return
        self._tell(
            ConnectorHealth(
                present.status,
                reachable=True,
                authenticated=present.ready,
                receiving=present.occupant is not Occupant.NOBODY,
                detail=present.detail,
                last_receive=now,
            )
        )

    def _troubled(self, error: Exception) -> None:
        where = f"cannot reach session {self._session} of {self._server.shown()}: "
        why = str(error)
        if self._is_beginning():  # tmux has several words for it, and none that would help
            program = shlex.join(self._command)
            why = f"it ended as soon as it was started; see whether `{program}` runs"
        self._tell(
            replace(
                self._health,
                status="down" if isinstance(error, NoTmuxError | SpoolError) else "degraded",
                reachable=False,
                receiving=False,
                detail=str(error) if isinstance(error, SpoolError) else f"{where}{why}",
            )
        )

    def _tell(self, health: ConnectorHealth) -> None:
        before, self._health = self._health, health
        if not health.same_as(before):
            self._context.health_changed()

    async def mark_read(self, event_id: str) -> None:
        """Show the operator that the orchestrator has taken everything up to `event_id`."""
        if is_submission_id(event_id):
            self._desk.tell(Mark("taken", event_id))

    # -- sending ------------------------------------------------------------------------------

    def mark(self) -> str:
        """What sort of program the pane holds."""
        return self._outgoing.mark()

    async def send(self, part: OutboundPart) -> SendResult:
        """Show the part in the console, or type it into the program that is there instead."""
        return await self._outgoing.send(part)


def _address(host: str, name: str) -> str:
    """`host:name` as one word, without the signs that set off an id or a thread's tag."""
    return re.sub(r"[\s~#]+", "_", f"{host}:{name}")
