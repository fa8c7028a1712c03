"""A child process of the tests: its log goes to a file, and it never outlives the test run."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Child:
    """One program that can be started, stopped, killed and hung, again and again.

    Attributes:
        log: where its standard output and error go, over all its lives.
    """

    def __init__(self, what: str, log: Path) -> None:
        self.what = what
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id, also after its end."""
        assert self._process is not None, f"{self.what} was never started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended: an exit code, or a negative signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        assert not self.running, f"{self.what} runs already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for pytest, which then stops it in order
                preexec_fn=functools.partial(_begin, os.getpid()),
            )

    def send_signal(self, number: signal.Signals) -> None:
        if self.running:
            assert self._process is not None
            self._process.send_signal(number)

    async def end(self, number: signal.Signals, timeout_s: float = 30.0) -> int:
        """Send a signal, wait for the end and return the exit code.

        Raises:
            AssertionError: it did not end in time (then it is killed).
        """
        if number is not signal.SIGKILL:
            self.send_signal(signal.SIGCONT)  # a hung one cannot end in order
        self.send_signal(number)
        return await self.ended(timeout_s)

    async def ended(self, timeout_s: float = 30.0) -> int:
        """Wait until it ends by itself and return the exit code."""
        assert self._process is not None, f"{self.what} was never started"
        try:
            return await asyncio.to_thread(self._process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            raise self.failure(f"did not end within {timeout_s:g} s") from None

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def failure(self, sentence: str) -> AssertionError:
        """An error that shows what the program said last."""
        tail = "\n".join(self.log_text().splitlines()[-40:])
        return AssertionError(f"{self.what} {sentence}; the end of {self.log}:\n{tail}")


def _begin(parent: int) -> None:
    """What the child does before it becomes its program."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests under nohup ignores it
    _die_with_parent(parent)


def _die_with_parent(parent: int) -> None:
    """Have the kernel kill the child with the test run, also when that dies of SIGKILL."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died in between
        os._exit(1)
