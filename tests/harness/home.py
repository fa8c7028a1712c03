"""A home directory with nothing in it, and the installed `fleetchat` run there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fleetchatd.connectors.registry import ENTRY_POINT_GROUP
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

    def write_roster(self, text: str) -> None:
        """Have a roster already."""
        self.roster.parent.mkdir(parents=True, exist_ok=True)
        self.roster.write_bytes(text.encode())

    def install_plug_in(self, kind: str, source: str) -> None:
        """Have a connector installed, as pip would leave it: the class `Plug` of `source`."""
        packages = self.directory / "packages"
        info = packages / f"plug_{kind}-1.0.dist-info"
        info.mkdir(parents=True)
        (packages / f"plug_{kind}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plug-{kind}\nVersion: 1.0\n")
        entry = f"[{ENTRY_POINT_GROUP}]\n{kind} = plug_{kind}:Plug\n"
        (info / "entry_points.txt").write_text(entry)
        self.env["PYTHONPATH"] = str(packages)

    @property
    def _path(self) -> str:
        return f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
