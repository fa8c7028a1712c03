"""`fleetchat check` and `fleetchat doctor`, run as a person runs them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from fleetchatd.connectors.guide import Finding
from tests.harness.daemon import Daemon

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Examination:
    """What one run has found.

    Attributes:
        summary: what stood on standard error.
    """

    code: int
    findings: list[Finding]
    summary: str

    @property
    def troubles(self) -> list[Finding]:
        """All that is not well."""
        return [finding for finding in self.findings if finding.level != "ok"]

    def finding(self, words: str) -> Finding:
        """The one that says these words."""
        found = [finding for finding in self.findings if words in finding.what]
        assert len(found) == 1, f"{words!r} is said {len(found)} times in {self.findings}"
        return found[0]

    def only(self, level: str, what: str, remedy: str) -> None:
        """That nothing is wrong but this one thing, with this remedy."""
        assert len(self.troubles) == 1, self.troubles
        trouble = self.troubles[0]
        assert trouble.level == level, trouble
        assert what in trouble.what, trouble
        assert remedy in (trouble.remedy or ""), trouble
        assert self.code == (1 if level == "error" else 0)


async def examine(daemon: Daemon, *words: str, **env: str | None) -> Examination:
    """Run such a command where `daemon` is set up, running or not.

    Args:
        daemon: the places and the environment.
        words: the command and further options; the places come from `daemon`.
        env: what differs in the environment; None takes a variable away.

    Raises:
        AssertionError: a trouble has no remedy, or the command broke.
    """
    code, out, errors = await run(daemon, *words, "--json", **env)
    assert code in (0, 1), errors
    findings = [Finding(**json.loads(line)) for line in out.splitlines()]
    assert [one for one in findings if one.level != "ok" and not one.remedy] == []
    return Examination(code, findings, errors)


async def run(daemon: Daemon, *words: str, **env: str | None) -> tuple[int, str, str]:
    """Run such a command and give its exit code, output and errors."""
    places = ("--roster", str(daemon.roster), "--state-dir", str(daemon.state_dir))
    bare: dict[str, str | None] = {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(daemon.directory),
        "LANG": "C.UTF-8",
        "TMUX_TMPDIR": str(daemon.directory),
    }
    process = await asyncio.create_subprocess_exec(
        str(PROGRAMS / "fleetchat"),
        *("--socket", str(daemon.socket), words[0], *places, *words[1:]),
        cwd=daemon.directory,
        env={name: value for name, value in (bare | daemon.env | env).items() if value is not None},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in errors
    return process.returncode, out.decode(), errors.decode()
