"""The operator's side of a measured daemon on tmux: its console, driven through control mode."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.gateway import Daemon
from bench.procs import PATIENCE_S, BenchError, Child, clean_env
from bench.session import Session

SERVER, SESSION, BARE = "bench", "operator", "bare"
ECHO = "stty raw -echo; exec cat"
_BADGE = re.compile(r"1:(\d+):\d+")


class Tmux:
    """A private tmux server in a folder of its own; `stop` ends it, whoever started it."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("tmux") is None:
            raise BenchError("cannot measure tmux: there is none; install it (apt install tmux)")
        self.env = {"TMUX_TMPDIR": str(folder), "HOME": str(folder), "LANG": "C.UTF-8"}

    def command(self, *words: str) -> list[str]:
        """The command line that has the server do something."""
        return ["tmux", "-u", "-L", SERVER, *words]

    def environment(self) -> Mapping[str, str]:
        """What its clients get; `TMUX` would lead them to another server."""
        return {name: value for name, value in clean_env().items() if name != "TMUX"} | self.env

    def run(self, *words: str) -> str:
        """Have it do something, and give the output."""
        done = subprocess.run(
            self.command(*words), env=self.environment(), capture_output=True, check=False
        )
        if done.returncode:
            raise BenchError(f"cannot tell tmux {words}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def stop(self) -> None:
        """End it; nothing when there is none."""
        with suppress(BenchError):
            self.run("kill-server")


class Keyboard:
    """A control-mode client of one session: types, and sees what comes of it."""

    def __init__(self, tmux: Tmux, session: str) -> None:
        words = tmux.command("-C", "attach-session", "-t", f"={session}", "-f", "ignore-size")
        self._child = Child(words, env=tmux.env)
        self._rest = b""
        self.pane = tmux.run("list-panes", "-t", f"={session}", "-F", "#{pane_id}")
        self.ask()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.stdin.close()  # it leaves at the end of its input,
        while os.read(self._child.stdout.fileno(), 1 << 16):  # once it got rid of what it heard
            pass
        self._child.stop()

    def type(self, text: str) -> None:
        """Type, without Enter; waits for nothing."""
        self._child.order(f'send-keys -t {self.pane} -l "{text}"')

    def enter(self) -> None:
        """Press Enter; waits for nothing."""
        self._child.order(f"send-keys -t {self.pane} Enter")

    def until_shown(self, text: str) -> None:
        """Wait until the pane writes `text`."""
        self._until(text.encode())

    def ask(self) -> None:
        """Ask for something trifling, and wait for the answer."""
        self._child.order("display-message -p asked")
        self._until(b"\nasked\n")

    def _until(self, sign: bytes) -> None:
        descriptor = self._child.stdout.fileno()
        while sign not in self._rest:
            if not select.select([descriptor], [], [], PATIENCE_S)[0]:
                raise BenchError(f"cannot go on: tmux does not say {sign!r}")
            data = os.read(descriptor, 1 << 16)
            if not data:
                raise BenchError("cannot go on: the connection to tmux has ended")
            self._rest += data
        self._rest = self._rest.partition(sign)[2]


class Console:
    """A daemon on the tmux connector, and the operator's console that it has started.

    Attributes:
        daemon: the daemon.
        pid: the console's process.
        keyboard: types into the console.
        bare: types into a program that echoes each key, in the same server.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            tmux = Tmux(Path(folder))
            stack.callback(tmux.stop)
            connector = {"kind": "tmux", "tmux": {"socket_name": SERVER, "session": SESSION}}
            self.daemon = stack.enter_context(Daemon(self._session, connector, tmux.env))
            self.daemon.wait_health(lambda health: health["status"] == "ok")
            tmux.run("new-session", "-d", "-s", BARE, ECHO)
            self.keyboard = stack.enter_context(Keyboard(tmux, SESSION))
            self.bare = stack.enter_context(Keyboard(tmux, BARE))
            self.pid = _console(tmux)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def _console(tmux: Tmux) -> int:
    badge = tmux.run("display-message", "-p", "-t", f"={SESSION}:", "#{@fleetchat_console}")
    found = _BADGE.fullmatch(badge)
    if found is None:
        raise BenchError(f"cannot find the console: its pane wears {badge!r}")
    return int(found[1])
