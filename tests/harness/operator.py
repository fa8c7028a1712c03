"""The operator at the console of a daemon that runs: a pane with a shell behind the console."""

from __future__ import annotations

import re
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

_SENT = re.compile(r"^\[\S+~\w+ -> \S+\] (.*)$", re.MULTILINE)
_HEARD = re.compile(r"^  (\S.*)$", re.MULTILINE)


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

    async def sit_down(self, death: Death | None = None, *, again: bool = False) -> None:
        """Start the session with a console in it.

        Args:
            death: where the console kills itself.
            again: another console follows at once when one has ended, instead of a shell.
        """
        script = f"{shlex.join(self._command(death))}; {self._loop if again else SHELL}"
        self.pane = await self._tmux.session(SESSION, "sh", "-c", script, columns=100)
        await self.console()

    @property
    def _loop(self) -> str:
        return f"while :; do {shlex.join(self._command(None))}; done"

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

    async def sent(self) -> list[str]:
        """The texts that the pane shows as sent by the operator."""
        return _SENT.findall(await self.pane.capture())

    async def heard(self) -> list[str]:
        """The lines that the pane shows of what was said to the operator."""
        return _HEARD.findall(await self.pane.capture())

    def _command(self, death: Death | None) -> Sequence[str]:
        arguments = ["console", "--state-dir", str(self._state_dir)]
        if death is None:
            return ["fleetchat", *arguments]
        return [*death.command("--as", "fleetchatd.client.main"), *arguments]
