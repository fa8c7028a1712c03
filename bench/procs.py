"""Child processes and what they cost: CPU to the nanosecond, memory from the kernel's own books."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PATIENCE_S = 120.0
"""How long anything may take before a benchmark gives up; never what is measured."""


class BenchError(RuntimeError):
    """A benchmark cannot be carried out, or what it measures did something wrong."""


def clean_env() -> dict[str, str]:
    """The environment without what changes Python: `PYTHONDONTWRITEBYTECODE`, set in some shells
    and containers, would make every start compile what an installed program has compiled.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def cpu_ns(pid: int) -> int:
    """CPU time of a whole process so far, in ns.

    The process's CPU clock is the sum of what `/proc/PID/task/*/schedstat` shows, plus the threads
    that have ended, and up to date while a thread runs. (`/proc/PID/schedstat` alone is the main
    thread.)
    """
    return time.clock_gettime_ns((~pid << 3) | 2)  # CPUCLOCK_SCHED, see clock_gettime(3)


def memory_kib(pid: int, key: str) -> int:
    """What the kernel says of a process's memory: `VmRSS` now, `VmHWM` at its peak; in KiB."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
        if found:
            return int(found[1])
    raise BenchError(f"cannot read {key} of process {pid}: it has ended")


class Child:
    """A process that is measured, or helps to measure. Used as a context manager."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self.argv = list(argv)
        self._log = log
        with open(log, "ab") if log else contextlib.nullcontext() as errors:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=clean_env() | dict(env or {}),
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin: IO[bytes] = self.process.stdin
        self.stdout: IO[bytes] = self.process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_ns(self) -> int:
        """CPU time of the whole process so far, in ns."""
        return cpu_ns(self.pid)

    def rss_kib(self) -> int:
        """Resident memory now, in KiB."""
        return memory_kib(self.pid, "VmRSS")

    def peak_kib(self) -> int:
        """The largest resident memory since `reset_peak`, in KiB."""
        return memory_kib(self.pid, "VmHWM")

    def reset_peak(self) -> None:
        """Forget the peak (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def order(self, line: str) -> None:
        """Write one line to its standard input."""
        self.stdin.write(line.encode() + b"\n")
        self.stdin.flush()

    def line(self) -> str:
        """The next line of its standard output."""
        if not select.select([self.stdout], [], [], PATIENCE_S)[0]:
            raise BenchError(f"cannot hear from {self.argv}: silent for {PATIENCE_S} s")
        line = self.stdout.readline()
        if not line:
            raise BenchError(f"cannot go on: {self.argv} has ended{self._said()}")
        return line.decode().rstrip("\n")

    def _said(self) -> str:
        return f"; its log ends: {self._log.read_text()[-2000:]}" if self._log else ""

    def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL after 10 s."""
        with contextlib.suppress(OSError):
            self.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.stdout.close()


class ReadySocket:
    """The systemd end of `READY=1` (sd_notify(3))."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.path = os.path.join(self._folder.name, "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(PATIENCE_S)

    def wait(self) -> int:
        """Wait for READY=1 and return the monotonic time, in ns, at which it came."""
        while True:
            try:
                data = self._socket.recv(4096)
            except TimeoutError:
                raise BenchError(f"cannot start: no READY=1 within {PATIENCE_S} s") from None
            now = time.monotonic_ns()
            if b"READY=1" in data.split(b"\n"):
                return now

    def close(self) -> None:
        self._socket.close()
        self._folder.cleanup()


def sigterm_as_exit() -> None:
    """Let SIGTERM unwind the benchmark, so that its children are stopped with it."""

    def leave(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
