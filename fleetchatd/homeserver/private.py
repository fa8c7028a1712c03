"""Files that are their owner's alone, under any umask, and locks that one command waits for."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetchatd.durable import replace_file, sync_folder


def make_folder(path: Path) -> None:
    """Make a folder, mode 0700, durably; leave one that is there as it is."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_folder(path.parent)


def write_file(path: Path, text: str) -> None:
    """Write a file, mode 0600, durably; it appears whole or not at all."""
    replace_file(path, text.encode())


def open_file(path: Path, flags: int) -> int:
    """Open a file of ours, made with mode 0600 if it is not there.

    Returns:
        A descriptor above those of standard input and output: who started us may have closed
        them, and a child of ours gets others in their place.
    """
    first = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(first)


@contextmanager
def locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock, after whoever holds it now; its end, however that comes, is the lock's end."""
    descriptor = open_file(path, os.O_RDWR)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command is at it; waiting for its end …")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
