"""Journals of a thousand and of a million messages, made once by the project's own journal code.

Half of the messages came in, half went out and were delivered. The daemon itself makes the empty
journal, so that file, schema and target are what it expects.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.chat import HomeServer
from bench.gateway import Gateway
from bench.homeserver import PERSON, TEXT
from bench.session import CACHE, Session
from fleetchatd.journal.schema import MIGRATIONS
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import Batch, Draft, MessageEvent, State, rfc3339

SMALL = 1_000
LARGE = 1_000_000
_GROUP = 500


def copy_of(session: Session, size: int) -> Path:
    """A state directory of this run's own with a journal of `size` messages."""
    folder = session.fresh_dir(f"journal-of-{size}")
    shutil.copytree(_cached(session, size), folder, dirs_exist_ok=True)
    for file in folder.iterdir():  # or the daemon's first commits pay for writing out the copy
        with open(file, "rb") as copied:
            os.fsync(copied.fileno())
    return folder


def _cached(session: Session, size: int) -> Path:
    mark = hashlib.sha256("".join(MIGRATIONS).encode()).hexdigest()[:12]
    folder = CACHE / "bench-journals" / f"{size}-{'floor' if session.floor else mark}"
    if folder.exists():
        return folder
    print(f"making {folder} (once)", file=sys.stderr)
    making = session.fresh_dir("making")
    with HomeServer() as home, Gateway(session, home, making) as gateway:
        home.tell("wait_poll")
        time.sleep(0.5)
        database = max(gateway.state.glob("*.db"), key=lambda file: file.stat().st_size)
    if session.floor:
        _fill_floor(database, size)
    else:
        asyncio.run(_fill(database, size))
    folder.parent.mkdir(parents=True, exist_ok=True)
    return making.rename(folder)


async def _fill(database: Path, size: int) -> None:
    journal = SqliteJournal(database)
    ((target,),) = journal.rows("SELECT name FROM targets")
    for events in _events(size // 2):
        await journal.commit(target, Batch(events))
        await _send(journal, target, len(events))
    await journal.close()


def _events(count: int) -> Iterator[list[MessageEvent]]:
    for start in range(0, count, _GROUP):
        yield [
            MessageEvent(
                time=rfc3339(time.time()),
                connector="matrix",
                id=_matrix_id(),
                sender=PERSON,
                sender_name="Ann",
                text=TEXT,
            )
            for _ in range(start, min(start + _GROUP, count))
        ]


def _matrix_id() -> str:
    return "$" + os.urandom(32).hex()[:43]


async def _send(journal: SqliteJournal, target: str, count: int) -> None:
    """Accept and deliver `count` messages, in two commits."""
    accepted: asyncio.Queue[object] = asyncio.Queue()
    settled: asyncio.Queue[object] = asyncio.Queue()
    for _ in range(count):
        journal.accept(
            Draft(TEXT),
            key=None,
            target=target,
            parts=(TEXT,),
            mark="bench",
            done=lambda acceptance, error: accepted.put_nowait(acceptance or error),
        )
    messages = [await accepted.get() for _ in range(count)]
    for acceptance in messages:
        assert not isinstance(acceptance, Exception), acceptance
        journal.settle(
            acceptance.message.with_remote_id(_matrix_id()),  # type: ignore[attr-defined]
            State.DELIVERED,
            None,
            "matrix",
            lazy=False,
            done=lambda message, error: settled.put_nowait(message or error),
        )
    for _ in range(count):
        assert not isinstance(await settled.get(), Exception)


def _fill_floor(database: Path, size: int) -> None:
    from bench import floor

    db = sqlite3.connect(database)
    for start in range(0, size // 2, _GROUP):
        ids = [_matrix_id() for _ in range(start, min(start + _GROUP, size // 2))]
        db.executemany(floor.EVENT, [(one, TEXT.encode() * 4 + b"}\n") for one in ids])
        db.executemany(floor.MESSAGE, [(one, TEXT.encode()) for one in ids])
        db.commit()
    db.execute("UPDATE message SET state = 1")
    db.commit()
    db.close()
