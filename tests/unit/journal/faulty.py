"""A journal whose disk fails when a test says so."""

from __future__ import annotations

import sqlite3
from typing import Any

from fleetchatd.journal.sqlite import SqliteJournal


class FaultyConnection(sqlite3.Connection):
    """Fails the statements that start with a key of `faults`, as often as its value says."""

    faults: dict[str, int]

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        for start, left in getattr(self, "faults", {}).items():
            if left and sql.startswith(start):
                self.faults[start] = left - 1
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
        return super().execute(sql, *values)


class FaultyJournal(SqliteJournal):
    """A `SqliteJournal` on such connections."""

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, factory=FaultyConnection
        )
        connection.execute("PRAGMA secure_delete=ON")
        return connection

    def fail(self, statement: str, times: int = 1) -> None:
        """Have the next statements of the writer that start so fail: the disk is full."""
        assert isinstance(self.writer, FaultyConnection)
        self.writer.faults = {statement: times}
