"""Opening: new, old, newer, damaged and foreign files."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fleetchatd.errors import ConfigError, FleetchatError, JournalDamagedError, JournalError
from fleetchatd.journal import schema
from fleetchatd.journal.sqlite import SqliteJournal, opening
from tests.unit.journal.conftest import Journals, accepted, commit, events, ids, said


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.stat().st_size and not path.name.endswith("-shm")
    }


def modes_in(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def contents(folder: Path, size: int = 40) -> Path:
    """A journal with something in it, as its daemon left it when it was killed."""
    path = folder / "journal.db"
    script = f"""
import asyncio, os, signal
from fleetchatd.journal.sqlite import SqliteJournal
from tests.unit.journal.conftest import *
async def main():
    journal = SqliteJournal(Path({str(path)!r}))
    for number in range({size}):
        await commit(journal, said(f"${{number}}", "x" * 500), position=str(number))
        await take_in(journal, "to be sent " * 20)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    died = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3])
    assert died.returncode == -signal.SIGKILL
    return path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a killed daemon's journal: the file, and a log with commits in it."""
    folder = tmp_path_factory.mktemp("killed")
    contents(folder)
    assert (folder / "journal.db-wal").stat().st_size > 0
    return folder


@pytest.fixture
def folder(killed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(killed, tmp_path / "state"))


async def test_the_journal_is_its_owners_alone_under_any_umask(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        journal = SqliteJournal(tmp_path / "journal.db")
        await commit(journal, said("$1"))
        modes = modes_in(tmp_path)
        await journal.close()
    finally:
        os.umask(mask)
    assert modes == {0o600}


async def test_what_a_killed_daemon_had_committed_is_there(folder: Path) -> None:
    journal = SqliteJournal(folder / "journal.db")
    assert journal.last_seq == 40
    assert journal.position("the chat") == "39"
    assert len(journal.pending("the chat", None, 0, 100)) == 40
    await journal.close()


async def test_a_start_that_died_while_making_the_journal_leaves_nothing_in_the_way(
    tmp_path: Path,
) -> None:
    (tmp_path / "journal.db.new").write_bytes(b"half of it")
    journal = SqliteJournal(tmp_path / "journal.db")
    await commit(journal, said("$1"))
    await journal.close()
    assert list(all_bytes(tmp_path)) == ["journal.db"]


async def test_an_older_journal_is_brought_up_to_date(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(journals.now, said("$1"))
    message = await accepted(journals.now)
    await journals.close()
    further = ("CREATE TABLE extra (x); INSERT INTO extra VALUES (1)", "ALTER TABLE extra ADD y")
    monkeypatch.setattr(opening, "MIGRATIONS", (*schema.MIGRATIONS, *further))
    for _ in range(2):
        journal = await journals.reopen()
        assert journal.rows("SELECT x, y FROM extra") == [(1, None)]
        assert journal.rows("PRAGMA user_version") == [(len(schema.MIGRATIONS) + 2,)]
        assert ids(events(journal)) == ["$1"]
        assert journal.message(message.id) == message


async def test_a_migration_that_fails_leaves_the_version_before_it(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(journals.now, said("$1"))
    await journals.close()
    steps = ("CREATE TABLE first (x)", "CREATE TABLE second (x); CREATE TABLE second (x)")
    monkeypatch.setattr(opening, "MIGRATIONS", (*schema.MIGRATIONS, *steps))
    with pytest.raises(JournalError, match="second already exists"):
        journals.open()
    monkeypatch.setattr(opening, "MIGRATIONS", (*schema.MIGRATIONS, steps[0]))
    journal = journals.open()
    assert journal.rows("SELECT name FROM sqlite_master WHERE name = 'second'") == []
    assert ids(events(journal)) == ["$1"]


async def test_a_newer_journal_is_refused_and_left_alone(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit(journals.now, said("$1"))
    await journals.close()
    before = all_bytes(journals.path.parent)
    monkeypatch.setattr(opening, "MIGRATIONS", ())
    with pytest.raises(ConfigError, match=r"a newer fleetchatd wrote it \(schema 1, this one"):
        journals.open()
    assert all_bytes(journals.path.parent) == before


def garbage_header(path: Path) -> None:
    path.write_bytes(b"not a database\0\0" + path.read_bytes()[16:])


def text_file(path: Path) -> None:
    path.write_text("dear diary\n" * 500)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_within_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    for place in range(middle, min(middle + 4096, len(content))):
        content[place] ^= 0xFF
    path.write_bytes(content)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize(
    "damage", [garbage_header, text_file, truncated, cut_within_a_page, flipped, emptied]
)
async def test_a_damaged_journal_is_named_with_the_remedy_and_left_as_it_was(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    path = folder / "journal.db"
    with closing(sqlite3.connect(path)) as connection:  # now all of it is in the file
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(path)
    before = all_bytes(folder)
    with pytest.raises(JournalDamagedError) as refused:
        SqliteJournal(path)
    assert f"cannot read {path}" in str(refused.value)
    assert "restore it from a backup, or move it away" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert all_bytes(folder) == before


@pytest.mark.parametrize(
    "damage", [text_file, truncated, flipped, cut_within_a_page, garbage_header]
)
async def test_a_damaged_journal_is_mended_from_its_log_or_left_as_it_was(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    path = folder / "journal.db"
    damage(path)
    before = all_bytes(folder)
    try:
        journal = SqliteJournal(path)
    except JournalDamagedError:
        assert all_bytes(folder) == before
        return
    assert ids(events(journal)) == [f"${number}" for number in range(40)]
    assert len(journal.pending("the chat", None, 0, 100)) == 40
    await journal.close()


async def test_a_log_without_its_journal_is_never_taken_for_a_new_one(folder: Path) -> None:
    (folder / "journal.db").unlink()
    before = all_bytes(folder)
    with pytest.raises(JournalDamagedError, match=r"only its log journal.db-wal is left"):
        SqliteJournal(folder / "journal.db")
    assert all_bytes(folder) == before


async def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE diary (entry)")
    connection.close()
    before = all_bytes(tmp_path)
    with pytest.raises(ConfigError, match="it is not a journal; move it away"):
        SqliteJournal(path)
    assert all_bytes(tmp_path) == before


async def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(ConfigError, match="it is not a file; move it away"):
        SqliteJournal(tmp_path / "journal.db")


@pytest.mark.parametrize("reads_first", [True, False])
async def test_a_journal_that_is_damaged_at_work_takes_nothing_in_any_more(
    folder: Path, reads_first: bool
) -> None:
    path = folder / "journal.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal = SqliteJournal(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    if reads_first:
        with pytest.raises(JournalDamagedError):
            journal.history(limit=100, before=None, thread_id=None, direction=None)
    for _ in range(2):
        with pytest.raises(JournalDamagedError, match="restore it from a backup"):
            await accepted(journal)
    assert "it is damaged" in (journal.error or "")
    await journal.close()


async def test_where_no_file_can_be_made_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(FleetchatError, match="cannot write"):
        SqliteJournal(tmp_path / "no such folder" / "journal.db")
