"""Where the daemon works: its state directory, the journal in it, and its socket.

Nothing is opened that somebody may be writing to: no lock is taken, and no connection is made.
"""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from fleetchatd.client.looks import size
from fleetchatd.connectors.guide import Finding
from fleetchatd.health import LOW_DISK_BYTES, LOW_DISK_SHARE
from fleetchatd.journal.schema import MIGRATIONS
from fleetchatd.places import JOURNAL, socket_candidates

LONGEST_SOCKET_BYTES = 107
"""What a socket's path may have (unix(7), sun_path, less its final zero)."""

_SQLITE = b"SQLite format 3\0"
_VERSION = slice(60, 64)
"""The place of `PRAGMA user_version` in a database's header (sqlite.org/fileformat.html)."""

_NAME_A_FOLDER = "name one in a folder of your own with --socket or $FLEETCHATD_SOCKET"
_RESTORE = "restore it from a backup, or move it away to start with an empty journal"


# -- the state directory -------------------------------------------------------------------------


def look_at_state(folder: Path, *, held: bool) -> Iterator[Finding]:
    """The state directory and the journal.

    Args:
        folder: the state directory.
        held: whether a daemon is at work there.
    """
    if not os.path.lexists(folder):
        yield _to_be_made(f"state directory {folder}", folder, "name another with --state-dir")
        return
    if not folder.is_dir():
        remedy = "move it away, or name another directory with --state-dir"
        yield Finding("error", f"state directory {folder}: it is no directory", remedy)
        return
    anothers = os.geteuid() not in (0, folder.stat().st_uid)
    if anothers and held:
        what = f"state directory {folder}: the daemon has it, and we may not look into it"
        yield Finding("ok", what)
        return
    troubles = [*_rights_of(folder, anothers), *_room_in(folder)]
    yield from troubles
    if not troubles:
        yield Finding("ok", f"state directory {folder}: mode 0700, {_free(folder)} free")
    if os.access(folder, os.R_OK | os.X_OK):
        yield from _look_at_journal(folder / JOURNAL)


def _rights_of(folder: Path, anothers: bool) -> Iterator[Finding]:
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    if anothers:
        what = f"state directory {folder}: it belongs to {user_name(found.st_uid)}"
        remedy = f"look as {user_name(found.st_uid)}, or name your own with --state-dir"
        yield Finding("error", what, remedy)
    elif mode != 0o700:
        what = f"state directory {folder}: its mode is {mode:04o}, not 0700"
        yield Finding("warning", what, f"chmod 700 {shlex.quote(str(folder))}")
    if not anothers and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        what = f"state directory {folder}: it cannot be written to"
        remedy = "mount its disk for writing, or name another directory with --state-dir"
        yield Finding("error", what, remedy)


def _room_in(folder: Path) -> Iterator[Finding]:
    disk = os.statvfs(folder)
    nearly_full = min(LOW_DISK_BYTES, LOW_DISK_SHARE * disk.f_blocks * disk.f_frsize)
    if disk.f_bavail * disk.f_frsize < nearly_full:
        what = f"state directory {folder}: its disk is nearly full, {_free(folder)} left"
        yield Finding("warning", what, "make room: a full disk stops all sending and receiving")


def _free(folder: Path) -> str:
    disk = os.statvfs(folder)
    return size(disk.f_bavail * disk.f_frsize)


def _look_at_journal(path: Path) -> Iterator[Finding]:
    """Whether the journal looks like one; the daemon reads more of it when it starts."""
    log = path.with_name(f"{path.name}-wal")
    if not os.path.lexists(path):
        if log.exists():
            yield Finding("error", f"journal {path}: only its log {log.name} is left", _RESTORE)
        else:
            yield Finding("ok", f"journal {path}: the first start makes it")
        return
    if not path.is_file():
        yield Finding("error", f"journal {path}: it is not a file", "move it away")
        return
    with path.open("rb") as file:
        header = file.read(100)
    version = int.from_bytes(header[_VERSION])
    if len(header) < 100 or not header.startswith(_SQLITE) or not version:
        yield Finding("error", f"journal {path}: it is damaged, or no journal", _RESTORE)
    elif version > len(MIGRATIONS):
        what = f"journal {path}: a newer fleetchatd wrote it"
        yield Finding("error", what, "install that version of fleetchatd again")
    else:
        yield Finding("ok", f"journal {path}: {size(path.stat().st_size)}")


# -- the socket ----------------------------------------------------------------------------------


def look_at_socket(option: str | None) -> Iterator[Finding]:
    """The socket that a client would find, or else the one that a daemon would make."""
    candidates = socket_candidates(option)
    path = Path(next((one for one in candidates if os.path.lexists(one)), candidates[0]))
    troubles = list(_socket_troubles(path))
    yield from troubles
    if not troubles and path.exists():
        yield Finding("ok", f"socket {path}: it is there, for {_who_may_use(path)}")
    elif not troubles:
        yield _to_be_made(f"socket {path}", path, _NAME_A_FOLDER)


def _socket_troubles(path: Path) -> Iterator[Finding]:
    length, folder = len(os.fsencode(path)), path.parent
    if length > LONGEST_SOCKET_BYTES:
        what = f"socket {path}: {length} bytes are too long, {LONGEST_SOCKET_BYTES} are the most"
        yield Finding("error", what, "name a shorter one with --socket or $FLEETCHATD_SOCKET")
    if folder.is_dir() and folder.stat().st_mode & stat.S_IWOTH:
        what = f"socket {path}: everybody may write to {folder}, and put another in its place"
        yield Finding("error", what, _NAME_A_FOLDER)
    if not os.path.lexists(path):
        return
    found = path.lstat()
    if not stat.S_ISSOCK(found.st_mode):
        what = f"socket {path}: there is something else of that name, which is no socket"
        yield Finding("error", what, "remove it, or name another with --socket")
    elif found.st_mode & stat.S_IWOTH:
        what = f"socket {path}: everybody may use it"
        yield Finding("error", what, f"chmod o= {shlex.quote(str(path))}")
    elif not os.access(path, os.W_OK):
        what = f"socket {path}: you may not use it, it is for {_who_may_use(path)}"
        yield Finding("error", what, "become one of them, or name your own with --socket")


def _who_may_use(path: Path) -> str:
    found = path.stat()
    shared = " and its group" if found.st_mode & stat.S_IWGRP else ""
    return f"{user_name(found.st_uid)}{shared}"


def _to_be_made(subject: str, path: Path, remedy: str) -> Finding:
    """What is not there yet, and whether it can be made by whoever looks."""
    above = next(folder for folder in path.parents if os.path.lexists(folder))
    if not os.access(above, os.W_OK | os.X_OK):
        return Finding("error", f"{subject}: it cannot be made in {above}", remedy)
    return Finding("ok", f"{subject}: the first start makes it")


def user_name(number: int) -> str:
    """The name of a user, for people."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
