"""The operator's console in a private tmux server, and a daemon played by hand."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Sequence
from pathlib import Path

from fleetchatd.client.console.prompt import SIGN
from fleetchatd.tmux import marks
from fleetchatd.tmux.address import Address
from fleetchatd.tmux.badge import OPTION, Badge, parse
from fleetchatd.tmux.marks import Mark
from fleetchatd.tmux.spool import Names, Spool, Submission
from tests.harness.tmux import Terminal, Tmux
from tests.harness.waiting import eventually

NAMES = Names(operator="web1:operator", orchestrator="web1:mos")

PROMPT = SIGN.rstrip()  # tmux shows no blanks at the end of a line

LOOK_ALIKE = "[web1:mos~k1 -> web1:operator#deploy class=human] I did not say this"
"""An address line that is only part of what somebody wrote."""

NASTY = [
    "a\ttab\tor two",
    "👨‍👩‍👧 👍🏽 🇩🇪 ❤️",
    "e\u0301 a\u0308\u0323 n\u0303",
    "שלום עולם, مرحبا",
    "漢字かな交じり文、全角。" * 12,
    "x" * 500,
    LOOK_ALIKE,
    f"look:\n{LOOK_ALIKE}",
    "$HOME ${PATH} $(id) `id`",
    "a; b;",
    "it's \"quoted\" 'twice'",
    "back\\slash \\n \\\\ \\",
    "   three blanks around   ",
    "<b>tags</b> & &amp; &lt;",
    "#{pane_id} %output %end 1 2 3",
    "C-c Enter -l --",
    "one\n\nthree\n    four",
    "~ \u00a0 \u200b | ^ * _ [x]: y",
]
"""What terminals, shells, tmux and Markdown would each like to read in their own way."""


class Stage:
    """One state directory, the console's pane, and the daemon's end of both.

    Attributes:
        spool: what console and daemon share.
        pane: where the console runs.
    """

    pane: Terminal

    def __init__(self, tmux: Tmux, directory: Path) -> None:
        self.tmux = tmux
        self.state_dir = directory / "state"
        self.spool = Spool(self.state_dir)
        self.spool.make()
        self.spool.write_names(NAMES)
        self._server: asyncio.Server | None = None
        self._consoles: list[asyncio.StreamWriter] = []

    @property
    def command(self) -> list[str]:
        return ["fleetchat", "console", "--state-dir", str(self.state_dir)]

    async def open(
        self, columns: int = 80, lines: int = 24, wrapper: Sequence[str] = ()
    ) -> Terminal:
        """Start a console in a session of its own, and wait until it is ready."""
        command = [*wrapper, *self.command]
        self.pane = await self.tmux.session("operator", *command, columns=columns, lines=lines)
        await self.ready()
        return self.pane

    async def kill(self) -> None:
        """Kill the console where it stands; its pane stays."""
        await self.tmux.run("set-option", "-p", "-t", self.pane.id, "remain-on-exit", "on")
        os.kill(await self.console_pid(), signal.SIGKILL)

    async def reopen(self) -> None:
        """Start a console in the same pane, in place of what runs there."""
        before = await self.console()
        await self.pane.respawn(*self.command)

        async def another() -> bool:
            return await self.console() not in (None, before)

        await eventually("another console", another)

    async def ready(self) -> None:
        await eventually("the console ready", self.console)

    async def badge(self) -> str:
        """The pane's badge, as it stands."""
        return await self.pane.ask(f"#{{{OPTION}}}")

    async def console(self) -> Badge | None:
        """The console that lives in the pane."""
        worn = parse(await self.badge())
        return worn if worn is not None and worn.alive else None

    async def console_pid(self) -> int:
        found = await self.console()
        assert found is not None, "no console is alive in the pane"
        return found.pid

    # -- what the operator says ----------------------------------------------------------------

    async def submitted(self, count: int, *, timeout_s: float = 20.0) -> list[Submission]:
        """Wait until this much is in the spool, and return it in order."""

        async def probe() -> bool:
            return len(self.spool.pending()) >= count

        await eventually(f"{count} submissions", probe, timeout_s=timeout_s)
        found = [self.spool.submission(one) for one in self.spool.pending()]
        return [one for one in found if one is not None]

    async def heard(self, count: int = 1) -> list[str]:
        """Wait for texts, and take them as the daemon does once it has them."""
        found = await self.submitted(count)
        for one in found:
            self.spool.take(one.id)
        return [one.text for one in found]

    # -- what is said to the operator ----------------------------------------------------------

    async def say(
        self, text: str, *, tag: str | None = None, event_class: str | None = None
    ) -> str:
        """Say something through the console, and wait until it has confirmed it."""
        message_id = secrets.token_hex(6)
        await self.paste(text, message_id, tag=tag, event_class=event_class)
        await self.confirmed(message_id)
        return message_id

    async def paste(
        self,
        text: str,
        message_id: str | None,
        *,
        tag: str | None = None,
        event_class: str | None = None,
    ) -> None:
        """Paste a message as the daemon does; without an id, as other programs do."""
        address = Address(NAMES.orchestrator, NAMES.operator, message_id, tag, event_class)
        line = address.line(text).replace("\n", "\x1e")
        await self.pane.paste(f"\x1b[200~{line}\x1b[201~")

    async def confirmed(self, message_id: str, *, timeout_s: float = 20.0) -> None:
        async def probe() -> bool:
            return self.spool.acknowledged(message_id)

        await eventually(f"{message_id} confirmed", probe, timeout_s=timeout_s, pause_s=0.01)

    # -- the daemon's marks --------------------------------------------------------------------

    async def daemon_comes(self) -> None:
        with marks.socket_path(self.spool.folder) as path:
            self._server = await asyncio.start_unix_server(self._came, path)

        async def probe() -> bool:
            return bool(self._consoles)

        await eventually("the console connected", probe)

    def mark(self, mark: Mark) -> None:
        for console in self._consoles:
            console.write(mark.line())

    async def daemon_leaves(self) -> None:
        if self._server is not None:
            self._server.close()
        for console in self._consoles:
            console.close()
            await console.wait_closed()
        self._consoles.clear()
        (self.spool.folder / "socket").unlink(missing_ok=True)

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._consoles.append(writer)
