"""What `fleetchat doctor` makes of a daemon's health; the daemon itself is in tests/integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleetchatd import __version__, install_units
from fleetchatd.client.errors import ClientError, NoDaemonError, RefusedError
from fleetchatd.connectors.guide import Finding
from fleetchatd.roster import parse_roster
from fleetchatd.setup.checks.running import Running, look_at_daemon
from fleetchatd.setup.findings import Report, guarded
from fleetchatd.setup.typed import Places

ROSTER = parse_roster(
    b"{version: 1, transport: tmux, agents: [{name: mos, runtime: claude}]}", "/its/usual/place"
)
STATE = "/state"
REPORT = Report(as_json=False, places=Places())
WELL: dict[str, Any] = {"status": "ok", "version": __version__, "uptime_s": 61.0}


def look(**health: Any) -> list[Finding]:
    running = Running("/run/s", WELL | health)
    return list(guarded("the daemon", lambda: look_at_daemon(running, None, STATE, REPORT)))


def test_one_that_is_well_is_one_line() -> None:
    assert look() == [Finding("ok", "the daemon on /run/s is well, and up for 61 s")]


@pytest.mark.parametrize(
    ("health", "level", "what", "remedy"),
    [
        (
            {"journal": {"path": "/s/journal.db"}},
            *("warning", "keeps its state in /s, and not in /state", "--state-dir"),
        ),
        ({"version": "0.0.1"}, "warning", "is version 0.0.1, and this is", "restart it"),
        ({"outbox": {"failed": 1}}, "warning", "1 message failed", "fleetchat retry"),
        ({"outbox": {"failed": 2}}, "warning", "2 messages failed", "fleetchat history"),
        ({"outbox": {"waiting": 3}}, "warning", "3 messages wait for another chat", "cancel"),
        ({"outbox": {"oldest_age_s": 7300}}, "warning", "waiting to be sent for 2 h", "health"),
    ],
)
def test_what_is_amiss_is_told_beside_that(
    health: dict[str, Any], level: str, what: str, remedy: str
) -> None:
    (trouble,) = [finding for finding in look(**health) if finding.level != "ok"]
    assert (trouble.level, what in trouble.what) == (level, True), trouble
    assert remedy in str(trouble.remedy)


@pytest.mark.parametrize(("status", "level"), [("degraded", "warning"), ("down", "error")])
def test_each_of_its_problems_is_told_with_its_own_remedy(status: str, level: str) -> None:
    first, second = look(status=status, problems=["cannot X: Y; do Z", "it rains"])
    assert (first.level, first.remedy, second.level) == (level, "do Z", level)
    assert first.what == f"the daemon on /run/s is {status}: cannot X: Y"
    assert "fleetchat health" in str(second.remedy)


def test_what_was_told_of_the_chat_is_not_told_again_in_the_daemons_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report(as_json=True, places=Places())
    report.add(Finding("error", "cannot use room !r: it is open", "close it"))
    health = WELL | {"status": "down", "problems": ["cannot use room !r: it is open; close it"]}
    (finding,) = look_at_daemon(Running("/run/s", health), None, STATE, report)
    assert finding.what == "the daemon on /run/s is down: for what stands above"
    assert "it is open" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["state/journal.db", 7, None, "/x\0/journal.db"])
def test_a_journal_that_is_nowhere_is_in_no_state_directory(path: object) -> None:
    assert Running("/run/s", {"journal": {"path": path}}).state_dir is None
    assert Running("/run/s", {"roster": {"path": path}}).roster_path is None


def test_one_that_hangs_is_an_error_with_what_helps() -> None:
    hangs = ClientError("the daemon did not answer within 5 s")
    (finding,) = look_at_daemon(hangs, None, STATE, REPORT)
    assert (finding.level, finding.what) == ("error", str(hangs))
    assert finding.remedy == "see what it has logged, or restart it"


def test_one_that_cannot_run_is_an_error_that_says_why() -> None:
    refusal = RefusedError(503, "not-running", "cannot find a roster: tried --roster; write one")
    (finding,) = look_at_daemon(refusal, None, STATE, REPORT)
    assert finding.what == "the daemon cannot run: cannot find a roster: tried --roster"
    assert str(finding.remedy).startswith("mend that")


@pytest.mark.parametrize(
    ("named", "command"),
    [
        (Places(), "fleetchatd"),
        (Places("r", "/a b", "/s"), "fleetchatd --roster r --socket /s --state-dir '/a b'"),
    ],
)
def test_the_command_that_starts_it_names_the_places_that_were_named_and_no_others(
    named: Places, command: str
) -> None:
    report = Report(as_json=False, places=named)
    (finding,) = look_at_daemon(NoDaemonError("cannot reach fleetchatd"), ROSTER, STATE, report)
    assert finding.remedy == f"start it with `{command}`"


@pytest.mark.parametrize(
    "health",
    [
        {"status": "odd"},
        {"status": ["ok"]},
        {"status": "down", "problems": "x"},
        {"outbox": [1], "roster": "x"},
        {"outbox": {"failed": "many"}, "uptime_s": "long"},
    ],
)
def test_a_health_that_makes_no_sense_breaks_nothing(health: dict[str, Any]) -> None:
    assert look(**health)


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("No such file or directory", "start it with `systemctl --user start fleetchatd`"),
        ("Connection refused", "start it with `systemctl --user start fleetchatd`"),
        ("Permission denied", "become one of those who may use it"),
    ],
)
def test_that_there_is_none_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, reason: str, remedy: str
) -> None:
    units = [(Path("/units/fleetchatd.service"), "current")]
    monkeypatch.setattr(install_units, "standings", lambda user: units if user else [])
    error = NoDaemonError(f"cannot reach fleetchatd: tried /run/s ({reason}); start it")
    assert list(look_at_daemon(error, None, STATE, REPORT)) == [
        Finding("warning", f"cannot reach fleetchatd: tried /run/s ({reason})", remedy)
    ]
