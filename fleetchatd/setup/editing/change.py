"""A roster on disk: what setting up would change in it, shown, and then written (contract §8)."""

from __future__ import annotations

import difflib
import io
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from fleetchatd.durable import replace_file
from fleetchatd.errors import ConfigError, RosterError
from fleetchatd.roster import parse_roster
from fleetchatd.roster_text import LARGEST_BYTES, read_text
from fleetchatd.setup.editing.connector import with_connector


@dataclass(frozen=True, slots=True)
class Change:
    """What a roster was and what it shall be.

    Attributes:
        path: the roster, as it was named.
        old: its bytes; None if there is none.
        new: the bytes that it shall have.
    """

    path: Path
    old: bytes | None
    new: bytes

    @property
    def needed(self) -> bool:
        """Whether there is anything to write."""
        return self.old != self.new

    def diff(self) -> str:
        """A unified diff, as `diff -u` and `patch` have it; empty if nothing changes."""
        lines = difflib.unified_diff(
            _lines(self.old or b""),
            _lines(self.new),
            "/dev/null" if self.old is None else str(self.path),
            str(self.path),
        )
        missing = "\n\\ No newline at end of file\n"
        return "".join(line if line.endswith("\n") else line + missing for line in lines)


def plan(path: str | Path, kind: str, settings: Mapping[str, Any]) -> Change:
    """What it takes for the roster at `path` to have this connector; nothing is written.

    Args:
        path: a roster; where there is none, a new one is planned.
        kind: a connector's kind.
        settings: what shall stand in that kind's block, beside what does.

    Raises:
        RosterError: the roster cannot be used, or could not with this connector.
        ConfigError: the file cannot be read, or its text not be edited.
    """
    path = Path(path)
    old = read_file(path)
    if old is not None and (problems := read_text(old).problems):
        raise RosterError([problem.text(str(path)) for problem in sorted(set(problems))])
    new = with_connector(old, kind, settings)
    parse_roster(new, str(path))
    return Change(path, old, new)


def read_file(path: Path) -> bytes | None:
    """A roster's bytes (one more than it may have at most); None if there is no such file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        # Whoever opens a pipe would wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"cannot read {path}: it is not a file; name one with --roster")
            return file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read {path}: {_reason(error)}; make it readable, or name another with --roster"
        ) from error


def write(change: Change) -> Path | None:
    """Make the change, all or nothing; the old bytes stay beside the roster.

    A link stays a link. The mode stays, and for root the owner.

    Returns:
        The backup; None where there was nothing to keep.

    Raises:
        ConfigError: it cannot be written, or has changed since it was planned.
    """
    if not change.needed:
        return None
    try:
        return _write(change, change.path.resolve())
    except (OSError, RuntimeError) as error:  # links in a circle are no OSError everywhere
        raise ConfigError(
            f"cannot write {change.path}: {_reason(error)}; "
            "see to its folder's rights and space, then try again"
        ) from error


def _write(change: Change, target: Path) -> Path | None:
    _refuse_surprise(change)
    if change.old is None:
        target.parent.mkdir(parents=True, exist_ok=True)
        _put_in_place(change, target, None)
        backup = None
    else:
        like = target.stat()
        with _backup(target, change.old, like) as backup:
            _put_in_place(change, target, like)
    return backup


def _put_in_place(change: Change, target: Path, like: os.stat_result | None) -> None:
    def ready(descriptor: int) -> None:
        if like is not None:
            _look_like(descriptor, like)
        else:
            os.fchmod(descriptor, 0o666 & ~_umask())
        _refuse_surprise(change)

    replace_file(target, change.new, ready=ready)


def _refuse_surprise(change: Change) -> None:
    """A person with an editor may be faster than one who answers questions."""
    if read_file(change.path) != change.old:
        raise ConfigError(
            f"cannot write {change.path}: it has been changed meanwhile; look at it, and try again"
        )


@contextmanager
def _backup(target: Path, old: bytes, like: os.stat_result) -> Iterator[Path]:
    """The old bytes under the first name that is free; gone again if what follows fails."""
    for number in count(1):
        backup = target.with_name(f"{target.name}.bak" + (f".{number}" if number > 1 else ""))
        with suppress(FileExistsError):
            descriptor = os.open(backup, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            break
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(old)
            file.flush()
            _look_like(descriptor, like)
            os.fsync(descriptor)
        yield backup
    except BaseException:
        backup.unlink()
        raise


def _look_like(descriptor: int, like: os.stat_result) -> None:
    with suppress(PermissionError):  # for others than root: theirs it becomes
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def _umask() -> int:
    mask = os.umask(0o077)  # there is no other way to learn it
    os.umask(mask)
    return mask


def _lines(raw: bytes) -> list[str]:
    """Lines that end with a line feed alone, so that a diff shows every byte's change."""
    return list(io.StringIO(raw.decode("utf-8", "backslashreplace"), newline="\n"))


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or "not a usable path"
