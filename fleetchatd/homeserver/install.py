"""Synapse, installed once into a virtual environment of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fleetchatd import places
from fleetchatd.errors import FleetchatError
from fleetchatd.homeserver.private import locked

PYTHON_VARIABLE = "FLEETCHATD_SYNAPSE_PYTHON"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")

_COMPLETE = "complete"


def synapse_python(named: str | None, say: Callable[[str], None]) -> Path:
    """A Python that can run Synapse: the one that was named, else one of our own.

    Args:
        named: what `--python` said; without it `$FLEETCHATD_SYNAPSE_PYTHON` counts.
        say: tells a person what takes so long.

    Raises:
        FleetchatError: the one that was named has no Synapse, or ours cannot be installed.
    """
    named = named or os.environ.get(PYTHON_VARIABLE)
    if not named:
        return ensure_installed(data_folder(), say)
    if os.sep in named:  # Synapse is started from a folder of its own
        named = os.path.abspath(named)
    _run(
        [named, "-E", "-c", "import synapse"],  # nor is it run with $PYTHONPATH
        f"cannot run Synapse with {named}",
        "name a Python that has matrix-synapse installed, or none to have it installed",
    )
    return Path(named)


def data_folder() -> Path:
    """Where virtual environments are kept: of no use elsewhere, and easily made again.

    Raises:
        FleetchatError: there is no such place for this user.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    for share in [base] if base.startswith("/") else places.in_home(".local/share"):
        return Path(share, "fleetchatd", "homeserver")
    raise FleetchatError(
        "cannot find a place for Synapse: no home directory; name one in $XDG_DATA_HOME"
    )


def ensure_installed(folder: Path, say: Callable[[str], None]) -> Path:
    """Install Synapse below `folder` unless it is there, and return the Python that can run it.

    Who comes second waits for the first. What was left half made is made anew.

    Raises:
        FleetchatError: it cannot be installed.
    """
    what = REQUIREMENTS.read_bytes() + sys.implementation.cache_tag.encode()
    venv = folder / f"venv-{hashlib.sha256(what).hexdigest()[:12]}"
    python = venv / "bin" / "python"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "install.lock", say):
            # Its link leads nowhere once the Python that it was made from is gone.
            if not (venv / _COMPLETE).exists() or not python.exists():
                say("installing Synapse (about 250 MB, once) …")
                shutil.rmtree(venv, ignore_errors=True)
                try:
                    _install(venv, python)
                    (venv / _COMPLETE).touch()
                except BaseException:
                    shutil.rmtree(venv, ignore_errors=True)
                    raise
    except OSError as error:
        raise FleetchatError(
            f"cannot install Synapse in {venv}: {error.strerror}; make room there, or name another"
            " place in $XDG_DATA_HOME"
        ) from error
    return python


def _install(venv: Path, python: Path) -> None:
    if uv := shutil.which("uv"):
        make = [uv, "venv", "--quiet", "--python", sys.executable, str(venv)]
        # Compiled, as pip does it too: Synapse starts twice as fast.
        fill = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    else:
        # Isolated: what $PYTHONPATH has would count as installed.
        make = [sys.executable, "-I", "-m", "venv", str(venv)]
        fill = [str(python), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    remedy = "see that the package index answers, and that uv or Python's venv and pip are there"
    for command in (make, [*fill, "--requirement", str(REQUIREMENTS)]):
        _run(command, f"cannot install Synapse: `{' '.join(command)}` failed", remedy)


def _run(command: Sequence[str], failure: str, remedy: str) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except OSError as error:
        raise FleetchatError(f"{failure}: {error.strerror}; {remedy}") from error
    if done.returncode:
        reason = (done.stderr or done.stdout).strip()[-2000:]
        raise FleetchatError(f"{failure}; {remedy}\n{reason}")
