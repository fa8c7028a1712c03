"""What a run of the benchmarks has in common: how often, where, and against what."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import count
from pathlib import Path

from bench.procs import BenchError, Child

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache"
PEERS = HERE / "peers"
FLOOR = HERE / "floor.py"


@dataclass
class Session:
    """One run.

    Attributes:
        pairs: alternating pairs for a ratio.
        quick: a fifth of the events; for trying things, not for verdicts.
        floor: measure the smallest possible gateway (floor.py) in the daemon's place.
    """

    pairs: int = 5
    quick: bool = False
    floor: bool = False
    _numbers: count[int] = field(default_factory=count)

    def scaled(self, events: int) -> int:
        """How many events to use where a full run takes `events`."""
        return max(events // 5, 100) if self.quick else events

    @cached_property
    def scratch(self) -> Path:
        """An empty folder on the disk that holds the tree (never a memory file system)."""
        folder = CACHE / "bench-run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def fresh_dir(self, what: str) -> Path:
        """A new folder for one process's state."""
        folder = self.scratch / f"{what}-{next(self._numbers)}"
        folder.mkdir(mode=0o700)
        return folder

    @property
    def daemon_argv(self) -> list[str]:
        """The program that is measured, as it is installed beside this interpreter."""
        if self.floor:
            return [sys.executable, str(FLOOR)]
        return [str(self._installed("fleetchatd"))]

    @property
    def client_argv(self) -> list[str]:
        """The installed client."""
        return [str(self._installed("fleetchat"))]

    def _installed(self, name: str) -> Path:
        program = Path(sys.executable).parent / name
        if not program.exists():
            raise BenchError(f"cannot find {name} beside {sys.executable}; run `uv sync` first")
        return program

    @cached_property
    def sockets(self) -> Path:
        """A folder for the peers' sockets, whose paths must be short."""
        self._sockets = tempfile.TemporaryDirectory(prefix="bench-")
        return Path(self._sockets.name)

    def peer(
        self,
        script: str,
        *arguments: str,
        own_libraries: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a peer: with the daemon's own libraries, or those of the peers' environment."""
        python = sys.executable if own_libraries else str(self.peers_python)
        log = self.scratch / f"{script}.log"
        return Child([python, str(PEERS / f"{script}.py"), *arguments], env=env, log=log)

    @cached_property
    def peers_python(self) -> Path:
        """The interpreter of the peers' virtual environment, made at first use."""
        return peers_venv() / "bin" / "python"


def peers_venv() -> Path:
    """Make `.cache/bench-venv` from requirements.txt, on the daemon's own Python."""
    venv, wanted = CACHE / "bench-venv", HERE / "requirements.txt"
    base = getattr(sys, "_base_executable", sys.executable)
    stamp, mark = venv / "made-from", sha256(wanted.read_bytes() + base.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == mark:
        return venv
    print(f"making {venv} (once)", file=sys.stderr)
    shutil.rmtree(venv, ignore_errors=True)
    if uv := shutil.which("uv"):
        python = str(venv / "bin" / "python")
        steps = [
            [uv, "venv", "--quiet", "--python", base, str(venv)],
            [uv, "pip", "install", "--quiet", "--python", python, "-r", str(wanted)],
        ]
    else:
        pip = str(venv / "bin" / "pip")
        steps = [[base, "-m", "venv", str(venv)], [pip, "install", "--quiet", "-r", str(wanted)]]
    for step in steps:
        if subprocess.run(step, check=False).returncode:
            raise BenchError(f"cannot make {venv}: `{' '.join(step)}` failed; its reason is above")
    stamp.write_text(mark)
    return venv
