"""How the one status word comes about."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fleetchatd import health
from fleetchatd.connectors.base import Connector
from fleetchatd.errors import JournalDamagedError
from fleetchatd.health import Observer
from fleetchatd.journal.base import Journal, OutboxCounts, Subscriber
from fleetchatd.model import ConnectorHealth

WELL = ConnectorHealth(status="ok", reachable=True, authenticated=True, receiving=True)
CONNECTOR = cast("Connector", SimpleNamespace(kind="memory", target="memory"))


@dataclass
class FakeJournal:
    """What an observer asks of a journal."""

    error: str | None = None
    last_seq: int = 42
    size_bytes: int = 90112
    readers: list[Subscriber] = field(default_factory=list)
    counts: OutboxCounts = field(default_factory=lambda: OutboxCounts(0, 0, 0, None))

    def subscribers(self) -> list[Subscriber]:
        return self.readers

    def outbox_counts(self, target: str) -> OutboxCounts:
        assert target == "memory"
        return self.counts


def observe(journal: FakeJournal, state_dir: Path) -> Observer:
    return Observer(cast("Journal", journal), state_dir, "roster.yaml", lambda name: name == "live")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk of 100 GiB with nothing on it; a test may fill it."""
    stat = SimpleNamespace(f_frsize=4096, f_blocks=100 << 18, f_bavail=100 << 18)
    monkeypatch.setattr(os, "statvfs", lambda _path: stat)
    return stat


async def test_it_has_all_fields_of_the_contract_when_all_is_well(
    tmp_path: Path, disk: SimpleNamespace
) -> None:
    said = observe(FakeJournal(), tmp_path).health(CONNECTOR, WELL)
    assert said.pop("uptime_s") >= 0
    assert said.pop("version")
    roster = said.pop("roster")
    assert re.fullmatch(r"[0-9T:.-]{23}Z", roster.pop("loaded_at"))
    assert roster == {"path": "roster.yaml", "error": None}
    assert said == {
        "status": "ok",
        "problems": [],
        "connector": {
            "kind": "memory",
            "reachable": True,
            "authenticated": True,
            "receiving": True,
            "last_receive_age_s": None,
            "detail": None,
        },
        "outbox": {"queued": 0, "waiting": 0, "oldest_age_s": None, "failed": 0},
        "journal": {
            "last_seq": 42,
            "size_bytes": 90112,
            "path": f"{tmp_path}/journal.db",
            "error": None,
        },
        "subscribers": [],
    }


@pytest.mark.parametrize("status", ["ok", "degraded", "down"])
async def test_the_connectors_status_is_the_daemons_when_all_else_is_well(
    tmp_path: Path, disk: SimpleNamespace, status: Any
) -> None:
    present = replace(WELL, status=status, detail=None if status == "ok" else "because")
    said = observe(FakeJournal(), tmp_path).health(CONNECTOR, present)
    assert said["status"] == status
    assert said["problems"] == ([] if status == "ok" else ["because"])


async def test_a_journal_that_cannot_be_written_is_down_whatever_else_is_well(
    tmp_path: Path, disk: SimpleNamespace
) -> None:
    said = observe(FakeJournal(error="the disk is full"), tmp_path).health(CONNECTOR, WELL)
    assert (said["status"], said["problems"]) == ("down", ["the disk is full"])


async def test_the_worst_gives_the_word_and_every_problem_is_said(
    tmp_path: Path, disk: SimpleNamespace
) -> None:
    disk.f_bavail = 0
    forgotten = Subscriber("old", 1, health.FORGOTTEN_LAG, 5.0)
    present = replace(WELL, status="down", detail="token refused")
    said = observe(FakeJournal(readers=[forgotten]), tmp_path).health(CONNECTOR, present)
    assert said["status"] == "down"
    assert [problem.split()[0] for problem in said["problems"]] == ["token", "the", "subscriber"]


async def test_failed_and_queued_messages_alone_change_nothing(
    tmp_path: Path, disk: SimpleNamespace
) -> None:
    journal = FakeJournal(counts=OutboxCounts(queued=3, waiting=1, failed=500, oldest_age_s=9.5))
    said = observe(journal, tmp_path).health(CONNECTOR, WELL)
    assert said["status"] == "ok"
    assert said["outbox"] == {"queued": 3, "waiting": 1, "failed": 500, "oldest_age_s": 9.5}


@pytest.mark.parametrize(
    ("size_mib", "free_mib", "status"),
    [
        (100 << 10, 65, "ok"),
        (100 << 10, 63, "degraded"),
        (100 << 10, 0, "degraded"),
        (100, 6, "ok"),  # a small disk is nearly full at a share of it
        (100, 4, "degraded"),
    ],
)
async def test_a_disk_that_is_nearly_full_is_degraded_before_writing_fails(
    tmp_path: Path, disk: SimpleNamespace, size_mib: int, free_mib: int, status: str
) -> None:
    disk.f_blocks, disk.f_bavail = size_mib << 8, free_mib << 8
    said = observe(FakeJournal(), tmp_path).health(CONNECTOR, WELL)
    assert said["status"] == status
    assert [problem for problem in said["problems"] if "nearly full" not in problem] == []


async def test_a_disk_that_is_gone_is_said_and_breaks_nothing(tmp_path: Path) -> None:
    said = observe(FakeJournal(), tmp_path / "gone").health(CONNECTOR, WELL)
    assert said["status"] == "degraded"
    assert "cannot look at the disk" in said["problems"][0]


@pytest.mark.parametrize(
    ("lag", "age_s", "forgotten"),
    [
        (0, None, False),
        (health.FORGOTTEN_LAG - 1, 3600.0, False),
        (health.FORGOTTEN_LAG, 3600.0, True),
        (1, health.FORGOTTEN_AGE_S - 1, False),
        (1, health.FORGOTTEN_AGE_S, True),
    ],
)
async def test_a_forgotten_subscriber_is_named_with_the_remedy(
    tmp_path: Path, disk: SimpleNamespace, lag: int, age_s: float | None, forgotten: bool
) -> None:
    readers = [Subscriber("fine", 9, 0, None), Subscriber("old", 1, lag, age_s)]
    said = observe(FakeJournal(readers=readers), tmp_path).health(CONNECTOR, WELL)
    assert said["status"] == ("degraded" if forgotten else "ok")
    assert ["fleetchat unsubscribe old" in problem for problem in said["problems"]] == (
        [True] if forgotten else []
    )


async def test_a_refused_reload_shows_until_one_succeeds(
    tmp_path: Path, disk: SimpleNamespace
) -> None:
    observer = observe(FakeJournal(), tmp_path)
    loaded_at = observer.health(CONNECTOR, WELL)["roster"]["loaded_at"]
    observer.roster_failed("roster.yaml:1: oops")
    said = observer.health(CONNECTOR, WELL)
    assert said["roster"] == {
        "path": "roster.yaml",
        "loaded_at": loaded_at,
        "error": "roster.yaml:1: oops",
    }
    observer.roster_loaded("roster.yaml")
    assert observer.health(CONNECTOR, WELL)["roster"]["error"] is None


async def test_a_journal_that_cannot_be_read_is_said_and_all_else_too(
    tmp_path: Path, disk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_target: str) -> OutboxCounts:
        raise JournalDamagedError("cannot read journal.db: it is damaged")

    journal = FakeJournal()
    monkeypatch.setattr(journal, "outbox_counts", unreadable)
    said = observe(journal, tmp_path).health(CONNECTOR, WELL)
    assert said["status"] == "down"
    assert said["problems"] == ["cannot read journal.db: it is damaged"]
    assert said["connector"]["receiving"] is True
    assert said["journal"]["error"] == "cannot read journal.db: it is damaged"
