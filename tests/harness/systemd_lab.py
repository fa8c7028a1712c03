"""A real systemd for the tests: booted by systemd_lab.sh, with the wheel of this tree installed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.harness.packaging import UV, environment, locked_versions
from tests.harness.synapse_install import REPOSITORY

USER = "ann"
PROGRAM = "/opt/fleetchatd/bin/fleetchatd"
PYTHON = "/usr/bin/python3"
"""Debian's own: one under somebody's home could not be run by the service's user."""

REQUIRED = "FLEETCHATD_TESTS_NEED_SYSTEMD"
"""Set (by CI), a machine without what these tests need fails them; else it skips them."""

_NEEDED = {
    "/lib/systemd/systemd": "systemd",
    "/usr/bin/dbus-daemon": "dbus",
    "/usr/lib/systemd/user/dbus.socket": "dbus-user-session",
    "/usr/bin/tmux": "tmux",
    PYTHON: "python3",
}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CannotBootError(Exception):
    """This machine cannot run a systemd for the tests; the text says why."""


def why_not() -> str | None:
    """What this machine lacks to boot one, as far as can be seen without trying."""
    if os.geteuid() != 0:
        return "only root can boot a systemd"
    missing = [package for path, package in _NEEDED.items() if not Path(path).exists()]
    return f"apt-get install {' '.join(missing)}" if missing else None


class Lab:
    """A booted systemd, with its system manager and that of `USER`.

    Files in it are reached by `path`, sockets too; programs run in it by `run`.
    """

    def __init__(self) -> None:
        script = REPOSITORY / "tests" / "harness" / "systemd_lab.sh"
        self._process = subprocess.Popen(
            [str(script), USER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._init_pid = self._process.stdout.readline().strip()
        if not self._init_pid:
            _, reason = self._process.communicate()
            raise CannotBootError(reason.strip())
        self.uid = int(self.run_now("id", "-u", USER))

    def close(self) -> None:
        """End it and all that runs in it."""
        self._process.communicate()

    def path(self, inside: str) -> Path:
        """Where a path of the inside is outside."""
        return Path(f"/proc/{self._init_pid}/root{inside}")

    def install(self, wheel: Path) -> None:
        """Install a wheel for all users, as docs/how-to/systemd.md says; versions as locked."""
        locked_versions(self.path("/tmp/versions.txt"))
        for file in (wheel, UV):
            shutil.copy2(file, self.path("/tmp"))
        inherited = [
            f"{name}={value}" for name, value in environment().items() if _is_network(name)
        ]
        places = ["UV_TOOL_DIR=/opt", "UV_TOOL_BIN_DIR=/usr/local/bin", "UV_COMPILE_BYTECODE=1"]
        self.run_now(
            *("env", *inherited, *places, "/tmp/uv", "tool", "install", "--python", PYTHON),
            *("--constraints", "/tmp/versions.txt", f"/tmp/{wheel.name}"),
        )

    # Programs

    async def run(self, *command: str, code: int | None = 0, user: str = "root") -> str:
        """Run a program inside; return what it wrote, standard error included.

        Raises:
            AssertionError: it ended with another exit code than `code` (None: any will do).
        """
        return await asyncio.to_thread(self.run_now, *command, code=code, user=user)

    def run_now(self, *command: str, code: int | None = 0, user: str = "root") -> str:
        done = subprocess.run(
            ["nsenter", "-t", self._init_pid, "-a", "--", *self._as(user), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
        )
        if code is not None and done.returncode != code:
            said = f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}"
            if "-xeu" in said:  # systemd has no more to say than that it failed
                said += self.run_now("journalctl", "-n", "30", "--no-pager", "-o", "short-precise")
            raise AssertionError(said)
        return done.stdout

    def _as(self, user: str) -> Sequence[str]:
        if user == "root":
            return ["env", "-i", f"PATH={_PATH}", "LANG=C.UTF-8", "HOME=/root", "LINES=200"]
        home = f"/home/{user}" if user == USER else "/"
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        env = [f"PATH={_PATH}", "LANG=C.UTF-8", f"HOME={home}", f"USER={user}"]
        if user == USER:
            env.append(f"XDG_RUNTIME_DIR=/run/user/{self.uid}")
        return [*drop, "env", "-i", *env]

    async def fleetchatd(self, *arguments: str, **more: Any) -> str:
        return await self.run("fleetchatd", *arguments, **more)

    async def fleetchat(self, *arguments: str, **more: Any) -> str:
        return await self.run("fleetchat", *arguments, **more)

    async def journal(self, *arguments: str, user: str = "root") -> list[dict[str, Any]]:
        """Records of the journal, all that was written before this call included."""
        await self.run("journalctl", "--sync")
        ask = ("journalctl", "--no-pager", "--quiet", "--output=json", *arguments)
        said = await self.run(*ask, user=user)
        return [json.loads(line) for line in said.splitlines()]


def _is_network(name: str) -> bool:
    """Whether a variable says how the package index is reached."""
    return name.startswith(("UV_", "SSL_")) or name.upper().endswith("_PROXY")
