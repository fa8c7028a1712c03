"""The installed `fleetchatd` as a child process, with everything it touches in one directory."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiohttp

from tests.harness.api import Api
from tests.harness.child import Child
from tests.harness.rosters import write_roster
from tests.harness.synapse_install import REPOSITORY
from tests.harness.waiting import eventually

_LONGEST_SOCKET_PATH_BYTES = 107  # sun_path of unix(7), less its final zero


class Death(NamedTuple):
    """Where a process is to kill itself (dying_daemon.py): at the `nth` call of `target`."""

    when: Literal["before", "after", "done"]
    target: str
    nth: int = 1

    def command(self, *options: str) -> list[str]:
        """The words that start such a process, up to the program's own arguments."""
        driver = str(REPOSITORY / "tests" / "harness" / "dying_daemon.py")
        where = ("--die", self.when, self.target, str(self.nth))
        # -P: the harness's own folder must not shadow the modules of others.
        return [sys.executable, "-P", driver, *where, *options, "--"]


class Daemon:
    """One daemon that can be started, stopped, killed and started again on the same state.

    Attributes:
        api: its socket.
        env: what it finds in its environment beside PATH and HOME; nothing else is inherited.
        args: further arguments.
        death: set before a start, it makes that life end at a chosen call.
    """

    def __init__(
        self,
        directory: Path,
        *,
        kind: str | None = "memory",
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] = (),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.roster = write_roster(directory / "roster.yaml", kind, **(settings or {}))
        self.state_dir = directory / "state"
        self.socket = directory / "run" / "fleetchatd.sock"
        assert len(os.fsencode(self.socket)) <= _LONGEST_SOCKET_PATH_BYTES, "use a shorter path"
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        self.env = dict(env or {})
        self.args = list(args)
        self.death: Death | None = None
        self.api = Api(self.socket)
        self._child = Child("fleetchatd", directory / "daemon.log")

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.running

    @property
    def returncode(self) -> int | None:
        return self._child.returncode

    @property
    def log_text(self) -> str:
        """What all its lives wrote to standard output and error."""
        return self._child.log_text()

    def reconfigure(self, kind: str | None, **settings: Any) -> None:
        """Rewrite the roster; a running daemon sees it at its next reload."""
        write_roster(self.roster, kind, **settings)

    async def start(self, timeout_s: float = 30.0) -> None:
        """Start it and wait until its socket answers `GET /v1/health`, with any status.

        Raises:
            AssertionError: it ended or did not answer; the text shows the end of its log.
        """
        self.spawn()
        await eventually("fleetchatd answering", self._answers, timeout_s=timeout_s)

    def spawn(self) -> None:
        """Start it and wait for nothing."""
        bare = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "TMUX_TMPDIR": str(self.directory),  # no test may reach the fleet of who runs it
        }
        self._child.spawn(self._command(), bare | self.env, self.directory)

    async def terminate(self, timeout_s: float = 30.0) -> int:
        """Ask it to stop, and return its exit code."""
        return await self._child.end(signal.SIGTERM, timeout_s)

    async def kill(self) -> None:
        """Kill it where it stands (SIGKILL)."""
        await self._child.end(signal.SIGKILL)

    async def restart(self) -> None:
        await self.terminate()
        await self.start()

    async def ended(self, timeout_s: float = 30.0) -> int:
        """Wait until it ends by itself; return its exit code, or the negative signal."""
        return await self._child.ended(timeout_s)

    def send_signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    async def close(self) -> None:
        """End it, whatever state it is in; nothing when it never started."""
        if self.running:
            await self.kill()

    def _command(self) -> list[str]:
        program = [str(Path(sys.executable).with_name("fleetchatd"))]
        if self.death is not None:
            program = self.death.command()
        places = {"--roster": self.roster, "--socket": self.socket, "--state-dir": self.state_dir}
        options = [text for name, place in places.items() for text in (name, str(place))]
        return [*program, *options, *self.args]

    async def _answers(self) -> bool:
        if not self.running:
            raise self._child.failure(f"ended at its start ({self.returncode})")
        try:
            await self.api.request("GET", "/v1/health", timeout_s=5.0)
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True
