"""What `fleetchat homeserver` refuses before anything is made, and what it says at the end."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from fleetchatd.client.main import main
from fleetchatd.homeserver import record as records
from fleetchatd.homeserver import telling


def up(tmp_path: Path, state_dir: Path) -> int:
    roster = tmp_path / "roster.yaml"
    return main(["homeserver", "up", "--state-dir", str(state_dir), "--roster", str(roster)])


def test_somebody_elses_state_directory_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: state_dir.stat().st_uid + 1)
    assert up(tmp_path, state_dir) == 1
    assert "is not yours; do it as the user whose it is" in capsys.readouterr().err
    assert [*tmp_path.iterdir(), *state_dir.iterdir()] == [state_dir]


def test_a_roster_that_cannot_be_written_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert up(tmp_path, tmp_path / "state") == 1
    assert "cannot write" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("action", "doing"), [("up", "start"), ("down", "stop")])
def test_a_folder_that_cannot_be_used_is_named(
    action: str, doing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / ("x" * 300)
    assert main(["homeserver", action, "--state-dir", str(folder)]) == 1
    said = capsys.readouterr().err
    assert f"cannot {doing} the homeserver: {folder}" in said
    assert "File name too long; see whose it is" in said


def test_the_orchestrator_reads_under_its_name_in_the_roster(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = argparse.Namespace(json=False, roster=None, state_dir=None)
    record = records.new("Mos.Prime").changed(tmp_path, room_id="!room")
    telling.tell(args, record, "roster.yaml", "Mos.Prime")
    assert "fleetchat read --name Mos.Prime " in capsys.readouterr().out
