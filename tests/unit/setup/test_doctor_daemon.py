"""What `fleetchat doctor` makes of a daemon's health; the daemon itself is in tests/integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleetchatd import __version__, install_units
from fleetchatd.client.errors import NoDaemonError
from fleetchatd.connectors.guide import Finding
from fleetchatd.setup.checks.running import Running, look_at_daemon
from fleetchatd.setup.findings import guarded

WELL: dict[str, Any] = {"status": "ok", "version": __version__, "uptime_s": 61.0}


def look(**health: Any) -> list[Finding]:
    running = Running("/run/s", WELL | health)
    return list(guarded("the daemon", lambda: look_at_daemon(running, None)))


def test_one_that_is_well_is_one_line() -> None:
    assert look() == [Finding("ok", "the daemon on /run/s is well, and up for 61 s")]


@pytest.mark.parametrize(
    ("health", "level", "what", "remedy"),
    [
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
    assert list(look_at_daemon(error, None)) == [
        Finding("warning", f"cannot reach fleetchatd: tried /run/s ({reason})", remedy)
    ]
