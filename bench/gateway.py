"""The measured daemon: started as a user would start it, spoken to through its socket alone."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.chat import HomeServer
from bench.homeserver import BOT, ROOM_ID
from bench.procs import PATIENCE_S, BenchError, Child, ReadySocket
from bench.session import Session
from bench.wire import fetch


class Daemon:
    """A running daemon.

    It is killed at the end rather than asked to drain: what is measured lies behind by then.

    Args:
        session: the run.
        connector: its block in the roster.
        env: what it finds in its environment besides.
        state: an earlier state directory; otherwise a new one.
    """

    def __init__(
        self,
        session: Session,
        connector: Mapping[str, Any],
        env: Mapping[str, str],
        state: Path | None = None,
    ) -> None:
        self.state = state or session.fresh_dir("state")
        self._folder = Path(tempfile.mkdtemp(prefix="bench-"))  # a socket's path must be short
        self.socket = str(self._folder / "s.sock")
        roster = self._folder / "roster.yaml"
        agents = [{"name": "mos", "runtime": "claude", "class": "orchestrator"}]
        roster.write_text(
            json.dumps(
                {"version": 1, "transport": "tmux", "agents": agents, "connector": connector}
            )
        )
        ready = ReadySocket()
        argv = [*session.daemon_argv, "--roster", str(roster), "--socket", self.socket]
        env = {**env, "NOTIFY_SOCKET": ready.path}
        started = time.monotonic_ns()
        self.child = Child(
            [*argv, "--state-dir", str(self.state)], env=env, log=session.scratch / "daemon.log"
        )
        try:
            self.start_ms = (ready.wait() - started) / 1e6
            self.wait_health(lambda health: bool(health["connector"]["receiving"]))
        except BaseException:
            self.stop()
            raise
        finally:
            ready.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Kill it and clear up."""
        self.child.process.kill()
        self.child.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def health(self) -> dict[str, Any]:
        """`GET /v1/health`."""
        health: dict[str, Any] = fetch(self.socket, "/v1/health")
        return health

    def wait_health(self, fine: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until its health is `fine`."""
        deadline = time.monotonic() + PATIENCE_S
        while not fine(health := self.health()):
            if time.monotonic() > deadline:
                raise BenchError(f"cannot start: not ready after {PATIENCE_S} s: {health}")
            time.sleep(0.05)


class Gateway(Daemon):
    """One on the Matrix connector."""

    def __init__(self, session: Session, home: HomeServer, state: Path | None = None) -> None:
        matrix = {"homeserver_url": home.url, "user_id": BOT, "room_id": ROOM_ID}
        connector = {"kind": "matrix", "matrix": matrix}
        super().__init__(session, connector, {"MATRIX_ACCESS_TOKEN": "syt_bench"}, state)
