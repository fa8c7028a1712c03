"""Opening a journal: made whole, and looked at before anything writes to it.

What is damaged, foreign or newer than this program stays byte for byte as it was found: it is
looked at through a read-only connection, which writes no page and empties no log.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from fleetchatd.errors import ConfigError, JournalDamagedError
from fleetchatd.journal.schema import MIGRATIONS

CHECK_WHOLE_BELOW_BYTES = 2 * 1024 * 1024
"""A journal up to this size is checked page by page at every start (some milliseconds)."""

REMEDY = (
    "restore it from a backup, or move it away to start with an empty journal (queued messages "
    "and positions are in it)"
)

# Tables that every version has had: they are read before anything is migrated.
PROBES = (
    "SELECT * FROM messages ORDER BY ord DESC LIMIT 5",
    "SELECT * FROM messages WHERE state < 2 LIMIT 5",
    "SELECT * FROM events ORDER BY seq DESC LIMIT 5",
    "SELECT * FROM events ORDER BY seq LIMIT 5",
    "SELECT * FROM targets",
    "SELECT * FROM subscribers",
)


def prepare(path: Path) -> None:
    """Make the journal if there is none, else see whether it can be read.

    Raises:
        JournalDamagedError: it cannot be read.
        ConfigError: it is not a journal, or a newer version of fleetchatd wrote it.
        sqlite3.Error, OSError: it cannot be opened, read or made.
    """
    log = Path(f"{path}-wal")
    if os.path.lexists(path):
        _inspect(path)
    elif log.exists():
        raise JournalDamagedError(f"cannot read {path}: only its log {log.name} is left; {REMEDY}")
    else:
        _make(path)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables of a journal up to date, in a transaction for each step."""
    version = _number(connection, "PRAGMA user_version")
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;{statements};PRAGMA user_version={number};COMMIT;"
        )


def _make(path: Path) -> None:
    """Make it under another name first, so that an empty journal is always a damaged one."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # before SQLite's umask
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        migrate(connection)
        connection.execute("PRAGMA journal_mode=WAL")
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _inspect(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"cannot read {path}: it is not a file; move it away")
    if path.stat().st_size == 0:
        raise JournalDamagedError(f"cannot read {path}: it is empty; {REMEDY}")
    address = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
        version = _number(connection, "PRAGMA user_version")
        if version > len(MIGRATIONS):
            raise ConfigError(
                f"cannot open {path}: a newer fleetchatd wrote it (schema {version}, this one "
                f"knows {len(MIGRATIONS)}); install that version again"
            )
        if version == 0:
            raise ConfigError(f"cannot open {path}: it is not a journal; move it away")
        if path.stat().st_size <= CHECK_WHOLE_BELOW_BYTES:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                reason = " ".join(verdict.split())  # SQLite's is several lines
                raise JournalDamagedError(f"cannot read {path}: it is damaged ({reason}); {REMEDY}")
        for probe in PROBES:
            connection.execute(probe).fetchall()


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
