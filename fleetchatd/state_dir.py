"""The state directory: one instance at a time, and its owner's alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetchatd.api.listener import umask
from fleetchatd.errors import AlreadyRunningError, FleetchatError


@contextmanager
def hold_state_dir(state_dir: Path) -> Iterator[None]:
    """Make the state directory, mode 0700, and keep every other instance out of it meanwhile.

    Raises:
        AlreadyRunningError: another instance holds it.
        FleetchatError: it cannot be made or written.
    """
    lock = _lock(state_dir)
    try:
        yield
    finally:
        os.close(lock)


def _lock(state_dir: Path) -> int:
    try:
        with umask(0o077):  # those above it, too
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        state_dir.chmod(0o700)
        lock = os.open(state_dir / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FleetchatError(
            f"cannot use the state directory {state_dir}: {error.strerror}; name another with "
            "--state-dir"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise AlreadyRunningError(
            f"cannot use the state directory {state_dir}: another fleetchatd holds it; stop that "
            "one or name another with --state-dir"
        ) from None
    return lock
