"""A home directory with nothing in it, and the installed `fleetchat` run there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.harness.tmux import PROGRAMS, Terminal, Tmux


class Done(NamedTuple):
    """How a command ended."""

    code: int | None
    out: str
    errors: str


class Home:
    """Somebody who has never used fleetchatd.

    Attributes:
        directory: $HOME.
        roster: where `fleetchat init` makes one.
        state_dir: where `fleetchat login` stores logins.
        env: the whole environment, beside PATH.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.roster = directory / ".config" / "mosaic" / "fleet" / "roster.yaml"
        self.state_dir = directory / ".local" / "state" / "fleetchatd"
        self.env = {
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "TMUX_TMPDIR": str(directory),
            "XDG_RUNTIME_DIR": str(directory),
        }

    async def run(
        self, *words: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None
    ) -> Done:
        """Run `fleetchat` as programs do: without a terminal."""
        process = await asyncio.create_subprocess_exec(
            str(PROGRAMS / "fleetchat"),
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": self._path} | self.env | dict(env or {}),
            cwd=self.directory,
        )
        out, errors = await process.communicate(stdin.encode() if isinstance(stdin, str) else stdin)
        return Done(process.returncode, out.decode(), errors.decode())

    async def terminal(self, tmux: Tmux) -> Terminal:
        """A terminal with a shell in it, for a person; wide enough that nothing wraps."""
        return await tmux.session("person", columns=160, lines=60, env=self.env)

    @property
    def _path(self) -> str:
        return f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
