"""Group commit: many writes, one sync.

All statements run on the event loop's thread, where they take microseconds; only COMMIT, which
waits for the disk, runs in a thread of its own. What is asked for meanwhile makes the next group,
so durable throughput grows with concurrency while a lone writer waits for one sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from fleetchatd.errors import JournalDamagedError, JournalError, StorageFullError
from fleetchatd.journal.base import Done
from fleetchatd.journal.sqlite.opening import REMEDY

LAZY_S = 0.02
"""How long a write that nobody waits for may wait for company, in seconds."""

T = TypeVar("T")
_Write = tuple[Callable[[], Any], Callable[[Any, Exception | None], None]]


def explain(error: sqlite3.Error | OSError, path: str) -> JournalError:
    """Our error for one of SQLite's (its result codes: sqlite.org/rescode.html) or the system's."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) == errno.ENOSPC:
        return StorageFullError(f"cannot write {path}: the disk is full; make room")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return JournalDamagedError(f"cannot read {path}: it is damaged ({error}); {REMEDY}")
    if code == sqlite3.SQLITE_READONLY:
        return JournalError(f"cannot write {path}: it is read-only; make it writable")
    return JournalError(f"cannot write {path}: {error}; look at the disk")


class GroupCommit:
    """The one writer of a database.

    Args:
        committed: called on the loop after each group that is on disk, before its futures.
        rolled_back: called on the loop after each group of which nothing is.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: str,
        committed: Callable[[], None],
        rolled_back: Callable[[], None],
    ) -> None:
        self.error: Exception | None = None
        self._damage: JournalDamagedError | None = None
        self._connection = connection
        self._path = path
        self._committed = committed
        self._rolled_back = rolled_back
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Write] = []
        self._urgent = False
        self._begin_handle: asyncio.Handle | None = None
        self._busy = False
        self._scrub = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._jobs: queue.SimpleQueue[tuple[list[_Write], list[Any], bool] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._sync, name="journal-commit", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether its thread is there."""
        return self._thread.is_alive()

    def post(self, statements: Callable[[], T], done: Done[T], *, lazy: bool = False) -> None:
        """Run statements in the next group.

        Args:
            statements: executes on the connection, and gives the result.
            done: gets the result once it is on disk, or what went wrong, in the order of the
                calls, whoever was cancelled meanwhile.
            lazy: may wait up to `LAZY_S` for company.
        """
        self._waiting.append((statements, done))
        self._idle.clear()
        if not lazy:
            self._urgent = True
        if not self._busy:
            self._schedule()

    def write(self, statements: Callable[[], T], *, lazy: bool = False) -> asyncio.Future[T]:
        """The same, with a future in place of a callback."""
        future: asyncio.Future[T] = self._loop.create_future()

        def done(result: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(cast("T", result))

        self.post(statements, done, lazy=lazy)
        return future

    def halt(self, damage: JournalDamagedError) -> None:
        """Write no more: what would be told as safe might not be there after a restart."""
        self.error = self._damage = damage

    def scrub(self) -> None:
        """After the group under way, leave no trace in the log of what was overwritten."""
        self._scrub = True

    def _schedule(self) -> None:
        """Begin in the next turn of the loop, so that one turn's requests share a commit."""
        if self._begin_handle is not None:
            if not self._urgent or not isinstance(self._begin_handle, asyncio.TimerHandle):
                return
            self._begin_handle.cancel()
        if self._urgent:
            self._begin_handle = self._loop.call_soon(self._begin)
        else:
            self._begin_handle = self._loop.call_later(LAZY_S, self._begin)

    def _begin(self) -> None:
        self._begin_handle = None
        group, self._waiting, self._urgent = self._waiting, [], False
        self._busy = True
        if self._damage is not None:
            self._finish(group, [], self._damage)
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = [statements() for statements, _ in group]
        except Exception as error:
            self._finish(group, [], error)
            return
        scrub, self._scrub = self._scrub, False
        self._jobs.put((group, results, scrub))

    def _sync(self) -> None:
        """The thread: wait for the disk, over and over."""
        while (job := self._jobs.get()) is not None:
            group, results, scrub = job
            failure: Exception | None = None
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                failure = error
            # What is committed stays so, whatever comes of the log: it is emptied later then.
            scrub = scrub and (failure is not None or not self._empty_log())
            self._loop.call_soon_threadsafe(self._finish, group, results, failure, scrub)

    def _empty_log(self) -> bool:
        try:
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error:
            return False
        return not busy

    def _finish(
        self,
        group: list[_Write],
        results: list[Any],
        error: Exception | None,
        scrub: bool = False,
    ) -> None:
        self._scrub = self._scrub or scrub
        if error is not None and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # it is rolled back even then
                self._connection.execute("ROLLBACK")
        if error is None:
            self.error = self._damage
            self._committed()
        else:
            if isinstance(error, sqlite3.Error):
                error = explain(error, self._path)
            if isinstance(error, JournalDamagedError):
                self.halt(error)
            self.error = error
            self._rolled_back()
            results = [None] * len(group)
        for (_, done), result in zip(group, results, strict=True):
            done(result, error)
        self._busy = False
        if self._waiting:
            self._schedule()
        else:
            self._idle.set()

    async def close(self) -> None:
        """Wait until everything asked for is on disk (or failed), then end the thread."""
        self._urgent = True
        if self._waiting and not self._busy:
            self._schedule()
        await self._idle.wait()
        self._jobs.put(None)
        self._thread.join()
