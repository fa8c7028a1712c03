"""`fleetchat init` up to the point where a server is asked."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from fleetchatd import logs
from fleetchatd.client.main import main
from fleetchatd.roster import load_roster

FLEET = """\
version: 1
transport: tmux
agents:
  - {name: mos, runtime: claude, class: orchestrator}
"""


@pytest.fixture
def roster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The roster that `init` would make, in a home with nothing in it."""
    for name in ("FLEETCHATD_ROSTER", "STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(logs, "configure", lambda *_: None)  # it is this process's, too
    return tmp_path / ".config" / "mosaic" / "fleet" / "roster.yaml"


def init(command: str) -> int:
    """Its exit code; a test has no terminal."""
    try:
        return main(["init", *command.split()])
    except SystemExit as stop:  # argparse's
        return int(stop.code or 0)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("", "give --connector, --yes"),
        ("--connector tmux", "give --yes"),
        ("--connector matrix", "give --homeserver-url, --user-id, --room-id, --yes"),
        ("--connector matrix --dry-run --user-id @a:b", "give --homeserver-url, --room-id"),
        ("--connector matrix --create-room", "give --homeserver-url, --user-id, --invite, --yes"),
        ("--connector discord --yes", "give --channel-id"),
        ("--connector tmux --user-id @a:b --yes", "tmux with --user-id: it has no such setting"),
        ("--connector matrix --user-id me --yes", "--user-id: is not valid (give a Matrix user id"),
        ("--connector memory --delay-s soon --yes", "--delay-s: is text (give a number of seconds"),
        ("--connector tmux --session a --session b", "cannot use --session twice"),
        ("--connector pigeon", "invalid choice: 'pigeon'"),
        ("--connector tmux --invite @ann:b", "add --create-room"),
        ("--connector tmux --create-room --invite x", "cannot make a room with tmux"),
        ("--connector matrix --create-room --dry-run", "cannot make a room with --dry-run"),
        ("--connector matrix --create-room --invite ann", "--invite: is not valid (give a Matrix"),
        ("--connector matrix --create-room --room-id !a:b", "leave --room-id out"),
    ],
)
def test_what_is_missing_or_makes_no_sense_is_named_all_at_once(
    roster: Path, capsys: pytest.CaptureFixture[str], flags: str, told: str
) -> None:
    assert init(flags) == 2
    assert told in capsys.readouterr().err
    assert not roster.exists()


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("version: [", "is not YAML"),
        (FLEET + "connector: {kind: tmux, matrix: {user: x}}\n", "connector.matrix.user: unknown"),
        (FLEET.replace("mos", "m o"), "agents.0.name"),
        (FLEET + "connector: {kind: tmux, tmux: {sesion: x}}\n", "did you mean session?"),
        (FLEET + "connector: {kind: tmux, tmux: {session: 1}}\n", "connector.tmux.session: is a"),
        (FLEET + "connector: {kind: tmux, tmux: {token: hunter2}}\n", "a secret must not stand"),
    ],
)
def test_a_roster_with_mistakes_is_named_with_its_lines_and_left_alone(
    roster: Path, capsys: pytest.CaptureFixture[str], broken: str, told: str
) -> None:
    roster.parent.mkdir(parents=True)
    roster.write_text(broken)
    assert init("--connector tmux --yes") == 1
    printed = capsys.readouterr()
    assert told in printed.err
    assert f"{roster}:" in printed.err
    assert "hunter2" not in printed.err
    assert (printed.out, roster.read_text()) == ("", broken)


def test_what_an_answer_can_mend_in_the_roster_is_mended(
    roster: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roster.parent.mkdir(parents=True)
    roster.write_text(FLEET + "connector:\n  kind: memory\n  memory:\n    delay_s: soon # not\n")
    assert init("--delay-s 0.5 --yes") == 0
    assert roster.read_text().endswith("memory:\n    delay_s: 0.5 # not\n")
    assert (
        "nothing can be verified: the connector memory brings no guide" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "nothing", ["connector:", "connector: ~   # to be chosen", "connector: {}"]
)
def test_a_connector_block_with_nothing_in_it_is_filled_in(roster: Path, nothing: str) -> None:
    roster.parent.mkdir(parents=True)
    roster.write_text(FLEET + nothing + "\n# the end\n")
    assert init("--connector memory --yes") == 0
    assert load_roster(roster).connector_kind == "memory"
    written = roster.read_text()
    assert written.startswith(FLEET + "connector:")
    assert written.endswith("\n# the end\n")


def test_a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for(
    roster: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roster.parent.mkdir(parents=True)
    os.mkfifo(roster)
    assert init("--connector memory --yes") == 1
    assert f"cannot read {roster}: it is not a file; name one" in capsys.readouterr().err


def test_a_roster_below_a_folder_that_is_gone_cannot_be_written(
    roster: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert init("--connector memory --yes --roster r.yaml") == 1
    assert "cannot write r.yaml: No such file" in capsys.readouterr().err


def test_who_reads_only_the_beginning_has_it_written_all_the_same(
    roster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert init("--connector memory --yes") == 0
    assert load_roster(roster).connector_kind == "memory"


def test_a_diff_for_a_program_has_the_rosters_own_bytes_whatever_the_locale(
    roster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roster.parent.mkdir(parents=True)
    roster.write_text(f"{FLEET}# Grüße, 世界\n", encoding="utf-8")
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="latin-1"))
    assert init("--connector memory --dry-run") == 0
    assert "\n # Grüße, 世界\n+" in printed.getvalue().decode()


def test_the_commands_that_come_next_name_the_places_that_were_named(
    roster: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, state, socket = tmp_path / "r.yaml", tmp_path / "a state", tmp_path / "s"
    named = ["--roster", str(there), "--state-dir", str(state), "--socket", str(socket)]
    flags = ["--connector", "discord", "--channel-id", "1", "--no-verify", "--yes"]
    assert main(["init", *flags, *named]) == 0
    told = capsys.readouterr()
    login = f"fleetchat login discord --roster {there} --state-dir '{state}'"
    assert f"log in with `{login}`\n" in told.err
    places = f"--socket {socket} --roster {there} --state-dir '{state}'"
    commands = (login, f"fleetchat doctor {places}", f"fleetchatd {places}")
    assert told.out.endswith("".join(f"next: {command}\n" for command in commands))
