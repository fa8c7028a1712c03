"""What console and daemon leave for each other on disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetchatd.tmux import spool as spool_module
from fleetchatd.tmux.spool import Names, NoSubmissionError, Spool, SpoolError


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "state")
    made.make()
    return made


@given(st.text(min_size=1), st.none() | st.text(min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_what_was_submitted_is_found_exactly(spool: Spool, text: str, tag: str | None) -> None:
    submission = spool.submit(text, tag)
    assert spool.submission(submission.id) == submission
    spool.take(submission.id)
    assert spool.submission(submission.id) is None
    assert spool.pending() == []


def test_submissions_stay_in_order_over_restarts_and_a_clock_that_goes_back(
    tmp_path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [spool.submit(f"{number}", None).id for number in range(50)]
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    ids += [spool.submit(f"{number}", None).id for number in range(3)]
    ids.append(Spool(tmp_path / "state").submit("of another console", None).id)
    assert spool.pending() == ids == sorted(set(ids))


def test_one_that_comes_while_the_folder_is_listed_overtakes_none(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = spool.submit("first", None).id
    second = spool.submit("second", None).id
    third = "z" * 17
    listings = iter([[second], [first, second, third]])
    monkeypatch.setattr(os, "listdir", lambda folder: next(listings))
    assert spool.pending() == [first, second]


def test_half_written_and_foreign_files_are_not_looked_at(spool: Spool) -> None:
    (spool.folder / "in" / ".0123.tmp").write_text("{")
    (spool.folder / "in" / "README").write_text("hello")
    assert spool.pending() == []


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'{"text": 1}', b'{"text": "", "time": 1, "thread_id": null}', b"[" * 10**5],
)
def test_what_no_console_wrote_is_put_aside(spool: Spool, raw: bytes) -> None:
    submission_id = "0" * 17
    (spool.folder / "in" / submission_id).write_bytes(raw)
    with pytest.raises(NoSubmissionError):
        spool.submission(submission_id)
    place = spool.put_aside(submission_id)
    assert place.read_bytes() == raw
    assert spool.pending() == []


def test_a_disk_that_refuses_keeps_nothing_and_says_so(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(SpoolError, match="No space left"):
        spool.submit("hello", None)
    monkeypatch.undo()
    assert list((spool.folder / "in").iterdir()) == []


def test_a_message_counts_as_shown_once_it_is_acknowledged(spool: Spool) -> None:
    assert not spool.acknowledged("m1")
    spool.acknowledge("m1")
    assert spool.acknowledged("m1")


@pytest.mark.parametrize("word", ["", "../x", "a/b", ".hidden", "x" * 101, "é", "a\n"])
def test_no_paste_can_name_another_file(spool: Spool, word: str) -> None:
    assert not spool.acknowledged(word)
    with pytest.raises(SpoolError):
        spool.acknowledge(word)


def test_the_oldest_confirmations_are_forgotten(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "ACKS_KEPT", 2)
    for number in range(4):
        spool.acknowledge(f"m{number}")
        os.utime(spool.folder / "ack" / f"m{number}", (number, number))
    spool.forget_old_acks()
    assert sorted(path.name for path in (spool.folder / "ack").iterdir()) == ["m2", "m3"]


def test_everything_is_its_owners_alone(spool: Spool) -> None:
    for folder in (spool.folder, spool.folder / "in", spool.folder / "ack"):
        assert folder.stat().st_mode & 0o777 == 0o700
    spool.write_names(Names("web1:operator", "web1:mos"))
    assert (spool.folder / "names").stat().st_mode & 0o777 == 0o600


def test_who_is_who_is_known_once_a_daemon_said_so(spool: Spool) -> None:
    assert spool.names() is None
    spool.write_names(Names("web1:operator", "web1:mos"))
    assert spool.names() == Names("web1:operator", "web1:mos")
    (spool.folder / "names").write_text("{}")
    assert spool.names() is None
