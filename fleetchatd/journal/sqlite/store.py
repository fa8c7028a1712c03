"""The database file: opening, migrating, writing and reading it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fleetchatd.errors import JournalDamagedError, JournalError
from fleetchatd.journal.sqlite.commits import GroupCommit, explain
from fleetchatd.journal.sqlite.opening import migrate, prepare
from fleetchatd.journal.sqlite.rows import event_row, line_of
from fleetchatd.journal.tail import Tail
from fleetchatd.model import Event


class Store:
    """A journal file, with what its three parts (outbound, inbound, subscribers) share.

    Args:
        path: the file; made if it does not exist, never replaced.
        clock: Unix time in seconds, for ages and display only.

    Raises:
        JournalDamagedError: it cannot be read.
        ConfigError: it is not a journal, or a newer version of fleetchatd wrote it.
        JournalError: it cannot be opened or made.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.clock = clock
        try:
            prepare(path)
            self.writer = self._connect()
            migrate(self.writer)
            self.reader = self._connect()
            self.reader.execute("PRAGMA query_only=ON")
        except (sqlite3.Error, OSError) as error:
            raise explain(error, str(path)) from error
        self.seq = self._number("SELECT max(seq) FROM events")
        self.order = self._order_on_disk = self._number("SELECT max(ord) FROM messages")
        self._targets: dict[str, int] = {}
        self.tail = Tail(self.seq)
        self._fresh: list[tuple[int, int, bytes]] = []
        self._replaced: dict[int, bytes] = {}
        self.commits = GroupCommit(self.writer, str(path), self._committed, self._rolled_back)
        self.commits.scrub()  # a crash may have left a redacted text in the log

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=1.0
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")  # a redacted text is overwritten
        return connection

    def _number(self, query: str) -> int:
        return int(self.writer.execute(query).fetchone()[0] or 0)

    # -- for the three parts ------------------------------------------------------------------

    def rows(self, query: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[Any]:
        """Read what is committed, at once: an open cursor would hold back the log."""
        try:
            return self.reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self.unreadable(error) from error

    def unreadable(self, error: sqlite3.Error) -> JournalError:
        """Our error for a read that failed; a damaged journal is not written to any more."""
        explained = explain(error, str(self.path))
        if isinstance(explained, JournalDamagedError):
            self.commits.halt(explained)
        return explained

    def target_id(self, name: str) -> int:
        """The number of a target; within a write, it is made if it is new."""
        number = self._targets.get(name)
        if number is None:
            number = self.writer.execute(
                "INSERT INTO targets (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET "
                "name = name RETURNING id",
                (name,),
            ).fetchone()[0]
            self._targets[name] = number
        return int(number)

    def append(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Within a write: give rows of `event_row` their `seq` and add them."""
        first = self.seq + 1
        self.writer.executemany(
            "INSERT INTO events (seq, kind, received, source, about, thread, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(seq, *row) for seq, row in enumerate(rows, first)],
        )
        self._fresh += [(seq, row[0], line_of(seq, row[5])) for seq, row in enumerate(rows, first)]
        self.seq += len(rows)

    def append_event(self, event: Event, target: str) -> None:
        """Within a write: add one event of the daemon's own."""
        self.append([event_row(event, target, self.clock())])

    def overwrite(self, seq: int, body: bytes) -> None:
        """Within a write: put another text in an event's place, leaving no trace of the old."""
        self.writer.execute("UPDATE events SET body = ? WHERE seq = ?", (body, seq))
        self._replaced[seq] = line_of(seq, body)
        self.commits.scrub()

    # -- after a group --------------------------------------------------------------------------

    def _committed(self) -> None:
        self._order_on_disk = self.order
        if self._fresh:
            fresh, self._fresh = self._fresh, []
            self.tail.extend(fresh)
        if self._replaced:
            for seq, line in self._replaced.items():
                self.tail.replace(seq, line)
            self._replaced = {}

    def _rolled_back(self) -> None:
        self._fresh, self._replaced = [], {}
        self.seq = self.tail.last_seq
        # numbers made in the lost group are void; those on disk are read again at need
        self._targets = {}
        self.order = self._order_on_disk

    # -- the interface's common part --------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """The newest committed event's `seq`."""
        return self.tail.last_seq

    @property
    def running(self) -> bool:
        """Whether the thread that waits for the disk is there."""
        return self.commits.running

    @property
    def error(self) -> str | None:
        """Why the last group failed, or None if it did not."""
        return str(self.commits.error) if self.commits.error else None

    @property
    def size_bytes(self) -> int:
        """What the file and its log take on the disk."""
        files = (self.path, Path(f"{self.path}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def changed(self) -> asyncio.Future[None]:
        """Done at the next committed event."""
        return self.tail.changed()

    async def close(self) -> None:
        """Commit what is under way and let go of the file."""
        await self.commits.close()
        self.reader.close()
        self.writer.close()
