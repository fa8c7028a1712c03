"""One connection to the operator's session: which pane is the one, and what has happened in it.

Nothing here polls: tmux wakes it by what the pane writes and by what becomes of panes, and the
kernel by the end of the console's process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Self

from fleetchatd.tmux import badge, guard, panes
from fleetchatd.tmux.badge import Badge
from fleetchatd.tmux.control import ControlClient
from fleetchatd.tmux.errors import NoServerError
from fleetchatd.tmux.panes import Pane
from fleetchatd.tmux.processes import Stat, command_line, foreground, start_time
from fleetchatd.tmux.protocol import Notice, quoted
from fleetchatd.tmux.server import Server
from fleetchatd.tmux.submission import Activity

_OUTPUT = ("output", "extended-output")


class Watch:
    """A connection, and the pane that it looks at.

    Attributes:
        client: the connection.
        activity: when the panes last wrote something.
        pane: as it stood at the last look.
        unsafe: why nothing is typed into what ran there then; None if it may be.
    """

    client: ControlClient
    pane: Pane
    unsafe: str | None

    def __init__(self, session: str, before: str | None, written: Callable[[], None]) -> None:
        self.activity = Activity()
        self._session = session
        self._before = before
        self._written = written
        self._heeded: set[str] = set()
        self._woken = asyncio.Event()
        self._looked = 0.0
        self._life: tuple[Badge, int] | None = None

    @classmethod
    async def open(
        cls, server: Server, session: str, before: str | None, written: Callable[[], None]
    ) -> Self:
        """Connect to the session, and look.

        Args:
            server: where it is.
            session: its exact name.
            before: the id of the pane that was used until now.
            written: called at once, without a look, when the pane has written something.

        Raises:
            TmuxError: see `ControlClient.attach`.
        """
        watch = cls(session, before, written)
        watch.client = await ControlClient.attach(server, session, watch._heard)
        watch.client.ended.add_done_callback(lambda _: watch.wake())
        try:
            await watch.look()
        except BaseException:
            await asyncio.shield(watch.close())
            raise
        return watch

    async def look(self) -> Pane:
        """Find the pane, as it is now.

        Raises:
            TmuxError: the session or the connection is gone.
        """
        self._looked = asyncio.get_running_loop().time()
        # Without the colon tmux would take a session with a longer name where this one is gone.
        target = quoted(f"={self._session}:")
        attached, meant, *lines = await self.client.run(
            "display-message -p '#{session_id}' ;"
            f" display-message -p -t {target} '#{{session_id}}' ;"
            f" list-panes -s -t {target} -F {quoted(panes.FORMAT)}"
        )
        if attached != meant:  # ours was renamed or has ended, and another has its name by now
            raise NoServerError("another session has taken its name")
        found = panes.parse_all(lines)
        pane = panes.choose(found, self._before)
        if pane is None:
            raise NoServerError(
                "it has no pane in which a program runs; run `fleetchat console` in it, or kill it,"
                " and it is started anew"
            )
        self.pane, self.unsafe = looked_into(pane)
        self._before = pane.id
        # Every console of the session may leave something in the spool.
        self._heeded = {pane.id, *(one.id for one in found if one.badge is not None)}
        self._watch_over(pane.console)
        return pane

    def wake(self) -> None:
        """Have `until_woken` return."""
        self._woken.set()

    async def until_woken(self, spacing_s: float) -> None:
        """Wait until something has happened, and the last look was `spacing_s` seconds ago."""
        await self._woken.wait()
        early_s = self._looked + spacing_s - asyncio.get_running_loop().time()
        if early_s > 0:
            await asyncio.sleep(early_s)
        self._woken.clear()

    async def close(self) -> None:
        """Let go of the session."""
        self._watch_over(None)
        await self.client.close()

    def _heard(self, notice: Notice) -> None:
        self.activity.heard(notice)
        if notice.name in _OUTPUT:
            if notice.rest.partition(" ")[0] not in self._heeded:
                return
            self._written()
        self.wake()

    def _watch_over(self, console: Badge | None) -> None:
        """Have the kernel tell when the console's process ends: tmux need not notice."""
        if self._life is not None:
            watched, descriptor = self._life
            if watched == console:
                return
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
            self._life = None
        if console is not None:
            with suppress(OSError):  # it has ended just now: the next look sees that
                descriptor = os.pidfd_open(console.pid)
                self._life = (console, descriptor)
                asyncio.get_running_loop().add_reader(descriptor, self._console_ended, descriptor)

    def _console_ended(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        self.wake()


def looked_into(pane: Pane) -> tuple[Pane, str | None]:
    """The pane with what its processes tell of it, and why nothing is typed into them, if so.

    All by one look, as they may be changing.
    """
    if pane.badge is not None:
        return pane, None
    members = foreground(pane.pid)
    if any(_is_bare_console(one) for one in members):
        return replace(pane, badge=badge.parse(badge.STARTING)), None
    objection = guard.judge(guard.Program.of(one) for one in members)
    return pane, None if objection is None or objection.passing else objection.reason


def _is_bare_console(process: Stat) -> bool:
    """Whether it is a console without its badge, just starting or leaving; one that left may be."""
    return badge.is_console(command_line(process.pid)) or start_time(process.pid) is None
