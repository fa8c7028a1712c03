"""The newest events, encoded, so that many readers share one line.

A reader that keeps up is fed from here; one that fell behind is fed from the database. Either way
a reader costs a number (its cursor) and no queue.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left

from fleetchatd.journal.base import Page

MAX_BYTES = 1024 * 1024
_PURGE_AT = 64
_TRIM_AT = MAX_BYTES + MAX_BYTES // 4


class Tail:
    """A stretch of consecutive events that ends at the newest one."""

    def __init__(self, last_seq: int) -> None:
        self.last_seq = last_seq
        self._lines: list[bytes] = []
        self._kinds: list[int] = []
        self._ends: list[int] = []  # bytes up to the end of each line, ever growing
        self._waiting: list[asyncio.Future[None]] = []
        self._purge_at = _PURGE_AT
        self._memo: tuple[tuple[int, int, frozenset[int] | None, int], Page] | None = None

    def extend(self, events: list[tuple[int, int, bytes]]) -> None:
        """Add committed events, (seq, kind, line) each, and wake whoever waits for them."""
        end = self._ends[-1] if self._ends else 0
        for _, kind, line in events:
            end += len(line)
            self._lines.append(line)
            self._kinds.append(kind)
            self._ends.append(end)
        self.last_seq = events[-1][0]
        if end - (self._ends[0] - len(self._lines[0])) > _TRIM_AT:
            self._trim(end - MAX_BYTES)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _trim(self, keep_from: int) -> None:
        drop = min(bisect_left(self._ends, keep_from), len(self._lines) - 1)
        del self._lines[:drop], self._kinds[:drop], self._ends[:drop]

    def replace(self, seq: int, line: bytes) -> None:
        """Put another text in the place of an event that was redacted."""
        index = seq - self._first
        if 0 <= index < len(self._lines):
            self._lines[index] = line
            self._memo = None

    @property
    def _first(self) -> int:
        return self.last_seq - len(self._lines) + 1

    def covers(self, after: int) -> bool:
        """Whether everything after `after` is here."""
        return after >= self.last_seq - len(self._lines)

    def page(self, after: int, kinds: frozenset[int] | None, max_bytes: int) -> Page:
        """The events after `after`: one at least, about `max_bytes` at most."""
        start = after - self._first + 1
        key = (after, self.last_seq, kinds, max_bytes)
        if self._memo is not None and self._memo[0] == key:
            return self._memo[1]
        base = self._ends[start] - len(self._lines[start]) if start < len(self._lines) else 0
        stop = max(bisect_left(self._ends, base + max_bytes, start), start + 1)
        lines = self._lines[start:stop]
        if kinds is not None:
            lines = [
                line
                for line, kind in zip(lines, self._kinds[start:stop], strict=True)
                if kind in kinds
            ]
        page = Page(b"".join(lines), min(self._first + stop - 1, self.last_seq))
        self._memo = (key, page)
        return page

    def changed(self) -> asyncio.Future[None]:
        """A future that is done at the next `extend`."""
        if len(self._waiting) >= self._purge_at:  # readers that went away while nothing happened
            self._waiting = [waiting for waiting in self._waiting if not waiting.done()]
            self._purge_at = max(_PURGE_AT, 2 * len(self._waiting))
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future
