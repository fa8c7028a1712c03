"""Who reads, how far they are, and what may be forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from fleetchatd.journal.base import Page, Subscriber
from fleetchatd.journal.sqlite.rows import kinds_of, line_of
from fleetchatd.journal.sqlite.store import Store
from fleetchatd.model import Filter

_ROWS = 256  # events read from the database at once; the bytes are the real bound


_Counted = tuple[tuple[int, tuple[int, ...]] | None, int, int]


class Subscribers(Store):
    """The journal's part about its readers (journal/base.py)."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path, clock=clock)
        # (position and filter, up to where it was counted, lag), by name
        self._lags: dict[str, _Counted] = {}

    def events_after(self, seq: int, wanted: Filter, max_bytes: int) -> Page:
        """See `Journal.events_after`."""
        kinds = kinds_of(wanted)
        if self.tail.covers(seq):
            return self.tail.page(seq, kinds, max_bytes)
        return self._page(seq, kinds, max_bytes)

    def _page(self, seq: int, kinds: frozenset[int] | None, max_bytes: int) -> Page:
        upto = self.tail.last_seq
        query = "SELECT seq, body FROM events WHERE seq > :seq ORDER BY seq LIMIT :limit"
        if kinds is not None:  # a branch a kind walks the index: what is filtered costs nothing
            branch = (
                "SELECT * FROM (SELECT seq, body FROM events WHERE kind = {} AND seq > :seq "
                "ORDER BY seq LIMIT :limit)"
            )
            query = " UNION ALL ".join(branch.format(kind) for kind in sorted(kinds))
            query += " ORDER BY seq LIMIT :limit"
        if not kinds and kinds is not None:
            return Page(b"", upto)
        lines: list[bytes] = []
        size = 0
        try:
            cursor = self.reader.execute(query, {"seq": seq, "limit": _ROWS})
            for number, body in cursor:
                if number > upto:
                    break
                lines.append(line_of(number, body))
                seq = number
                size += len(body)
                if size >= max_bytes:
                    break
            cursor.close()
        except sqlite3.Error as error:
            raise self.unreadable(error) from error
        exhausted = len(lines) < _ROWS and size < max_bytes
        return Page(b"".join(lines), upto if exhausted else seq)

    def subscribe(self, name: str, wanted: Filter, *, from_start: bool) -> asyncio.Future[int]:
        """See `Journal.subscribe`."""
        kinds = kinds_of(wanted)
        kept = None if kinds is None else orjson.dumps(sorted(kinds))

        def statements() -> int:
            start = self._before_oldest() if from_start else self.seq
            row = self.writer.execute(
                "INSERT INTO subscribers (name, acked, kinds) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET kinds = excluded.kinds RETURNING acked",
                (name, start, kept),
            ).fetchone()
            return int(row[0])

        return self.commits.write(statements)

    def _before_oldest(self) -> int:
        oldest = self.writer.execute("SELECT min(seq) FROM events").fetchone()[0]
        return 0 if oldest is None else int(oldest) - 1

    def acknowledge(self, name: str, seq: int) -> asyncio.Future[int | None]:
        """See `Journal.acknowledge`."""

        def statements() -> int | None:
            row = self.writer.execute(
                "UPDATE subscribers SET acked = max(acked, ?) WHERE name = ? RETURNING acked",
                (seq, name),
            ).fetchone()
            return None if row is None else int(row[0])

        return self.commits.write(statements)

    def unsubscribe(self, name: str) -> asyncio.Future[bool]:
        """See `Journal.unsubscribe`."""

        def statements() -> bool:
            deleted = self.writer.execute("DELETE FROM subscribers WHERE name = ?", (name,))
            return deleted.rowcount > 0

        return self.commits.write(statements)

    def subscribers(self) -> Sequence[Subscriber]:
        """See `Journal.subscribers`."""
        found = []
        for name, acked, encoded in self.rows("SELECT * FROM subscribers ORDER BY name"):
            kinds = None if encoded is None else tuple(orjson.loads(encoded))
            lag = self.last_seq - acked if kinds is None else self._lag(name, acked, kinds)
            age = None
            if lag:
                first = acked + 1 if kinds is None else self._first(acked, kinds)
                oldest = self.rows(
                    "SELECT received FROM events WHERE seq >= ? ORDER BY seq LIMIT 1", (first,)
                )
                age = max(0.0, self.clock() - oldest[0][0])
            found.append(Subscriber(name, acked, lag, age))
        return found

    def _lag(self, name: str, acked: int, kinds: tuple[int, ...]) -> int:
        """How many events of some kinds come after `acked`, counted on from the last time."""
        last = self.last_seq
        position, after, lag = self._lags.get(name, (None, acked, 0))
        if position != (acked, kinds):
            after, lag = acked, 0
        if after < last:
            marks = ",".join("?" * len(kinds))
            lag += self.rows(
                f"SELECT count(*) FROM events WHERE kind IN ({marks}) AND seq > ? AND seq <= ?",
                (*kinds, after, last),
            )[0][0]
        self._lags[name] = (acked, kinds), last, lag
        return lag

    def _first(self, acked: int, kinds: tuple[int, ...]) -> int:
        """The `seq` of the first event of some kinds after `acked`; there is one."""
        query = "SELECT min(seq) FROM events WHERE kind = ? AND seq > ?"
        found: list[int | None] = [self.rows(query, (kind, acked))[0][0] for kind in kinds]
        return min(seq for seq in found if seq is not None)

    def prune(self, older_than: float, limit: int) -> asyncio.Future[int]:
        """See `Journal.prune`.

        The newest event and message stay, whatever their age: their numbers are never reused.
        """

        def statements() -> int:
            events = self.writer.execute(
                "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE received < ? "
                "AND seq < ? AND seq <= coalesce((SELECT min(acked) FROM subscribers), ?) "
                "ORDER BY seq LIMIT ?)",
                (older_than, self.seq, self.seq, limit),
            )
            self.writer.execute(
                "DELETE FROM remotes WHERE ord IN (SELECT ord FROM messages WHERE accepted < ? "
                "AND state >= 2 AND ord < ? ORDER BY ord LIMIT ?)",
                (older_than, self.order, limit),
            )
            messages = self.writer.execute(
                "DELETE FROM messages WHERE ord IN (SELECT ord FROM messages WHERE accepted < ? "
                "AND state >= 2 AND ord < ? ORDER BY ord LIMIT ?)",
                (older_than, self.order, limit),
            )
            return events.rowcount + messages.rowcount

        return self.commits.write(statements)
