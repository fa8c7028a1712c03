"""The operator at the console of a daemon that runs: a pane with a shell behind the console."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from fleetchatd.tmux import badge
from fleetchatd.tmux.badge import Badge
from fleetchatd.tmux.spool import Spool
from tests.harness.daemon import Death
from tests.harness.tmux import Terminal, Tmux
from tests.harness.waiting import eventually

SESSION = "operator"
SHELL = "exec bash --noprofile --norc -i"
PROMPT = "bash-"


class Operator:
    """Who sits in the operator's session; the pane outlives the console.

    Attributes:
        pane: the session's only one.
        spool: what console and daemon leave for each other.
    """

    pane: Terminal

    def __init__(self, tmux: Tmux, state_dir: Path) -> None:
        self.spool = Spool(state_dir)
        self._tmux = tmux
        self._state_dir = state_dir
        self._console: Badge | None = None

    async def sit_down(self, death: Death | None = None, *, behind: str = SHELL) -> None:
        """Start the session with a console in it.

        Args:
            death: where the console kills itself.
            behind: what the pane's shell does when the console has ended.
        """
        script = f"{shlex.join(self._command(death))}; {behind}"
        self.pane = await self._tmux.session(SESSION, "sh", "-c", script, columns=100)
        await self.console()

    async def start_console(self) -> None:
        """Type the command into the shell behind the last console, as a person would."""
        prompts = (await self.pane.shows(PROMPT)).count(PROMPT)
        await self.pane.keys("C-c")  # whatever the dead console has left unread
        await self.pane.shows(PROMPT, times=prompts + 1)
        await self.pane.submit(shlex.join(self._command(None)))
        await self.console()

    async def console(self) -> Badge:
        """Wait for a console other than the last one; the badge that it wears."""

        async def probe() -> Badge | None:
            found = badge.parse(await self.pane.ask(f"#{{{badge.OPTION}}}"))
            new = found is not None and found != self._console and found.alive
            return found if new else None

        self._console = await eventually("a console", probe)
        return self._console

    async def console_now(self) -> Badge:
        """The console that was waited for last."""
        assert self._console is not None
        return self._console

    async def console_dead(self) -> None:
        """Wait until the console has ended."""
        console = self._console
        assert console is not None

        async def probe() -> bool:
            return not console.alive

        await eventually("the console's end", probe)

    async def acknowledged(self, message_id: str) -> None:
        """Wait until a message is confirmed."""

        async def probe() -> bool:
            return self.spool.acknowledged(message_id)

        await eventually(f"{message_id} confirmed", probe, pause_s=0.01)

    async def sent_lines(self, text: str) -> int:
        """How often the pane shows a text as sent by the operator."""
        lines = (await self.pane.capture()).splitlines()
        return sum(line.startswith("[") and line.endswith(f"] {text}") for line in lines)

    def _command(self, death: Death | None) -> Sequence[str]:
        arguments = ["console", "--state-dir", str(self._state_dir)]
        if death is None:
            return ["fleetchat", *arguments]
        return [*death.command("--as", "fleetchatd.client.main"), *arguments]
