"""Installing the real homeserver, once, into a venv of its own."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements-synapse.txt")
REPOSITORY = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """`$FLEETCHATD_TEST_CACHE`, else `.cache` in the repository."""
    named = os.environ.get("FLEETCHATD_TEST_CACHE")
    return Path(named) if named else REPOSITORY / ".cache"


def ensure_installed() -> Path:
    """Install Synapse unless it is there, and return the Python that can run it.

    Test runs at the same time wait for one another. A venv that was left half made, or that
    belongs to other requirements, is made anew.

    Raises:
        RuntimeError: it cannot be installed; tests that need it must fail, not be skipped.
    """
    venv = cache_dir() / "synapse-venv"
    venv.parent.mkdir(parents=True, exist_ok=True)
    marker = venv / "installed-requirements"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    with venv.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists() or marker.read_text() != wanted:
            _install(venv)
            marker.write_text(wanted)
    return venv / "bin" / "python"


def _install(venv: Path) -> None:
    shutil.rmtree(venv, ignore_errors=True)
    python = str(venv / "bin" / "python")
    if uv := shutil.which("uv"):
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)])
        _run([uv, "pip", "install", "--quiet", "--python", python, "-r", str(REQUIREMENTS)])
    else:
        _run([sys.executable, "-m", "venv", str(venv)])
        _run([python, "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout)[-2000:]
        raise RuntimeError(
            f"cannot install Synapse for the tests: {' '.join(command)} failed; "
            f"see that the package index answers and python3-venv or uv is there:\n{said}"
        )
