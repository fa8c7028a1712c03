"""The daemon's own decisions: its lock, and what counts as read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fleetchatd.daemon import Daemon, Options, lock_state_dir
from fleetchatd.errors import AlreadyRunningError, FleetchatError
from fleetchatd.journal.base import Subscriber


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_state_directory_is_its_owners_alone_and_those_it_needs_above_it(
    tmp_path: Path, open_umask: None
) -> None:
    state = tmp_path / "local" / "state"
    os.close(lock_state_dir(state))
    assert [mode(path) for path in (state.parent, state)] == [0o700, 0o700]
    assert mode(state / "lock") == 0o600
    state.chmod(0o755)
    os.close(lock_state_dir(state))
    assert mode(state) == 0o700


def test_one_instance_holds_it_until_it_lets_go(tmp_path: Path) -> None:
    lock = lock_state_dir(tmp_path)
    assert not os.get_inheritable(lock)
    with pytest.raises(AlreadyRunningError, match="another fleetchatd holds it"):
        lock_state_dir(tmp_path)
    os.close(lock)
    os.close(lock_state_dir(tmp_path))


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300])
def test_a_state_directory_that_cannot_be_is_an_error_with_a_remedy(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FleetchatError, match=r"cannot use the state directory .*--state-dir"):
        lock_state_dir(tmp_path / name)


@pytest.mark.parametrize(
    ("subscribers", "acknowledged", "read"),
    [
        (["mos", "other"], [("mos", 7)], 7),
        (["mos", "other"], [("other", 7)], 0),
        (["mos", "other"], [("mos", 3), ("other", 7)], 3),
        (["some", "other"], [("some", 3), ("other", 7)], 7),
        (["some"], [("some", 7), ("some", 7)], 7),
        (["mos"], [("mos", 7), ("mos", 5)], 7),
    ],
)
def test_read_is_what_the_orchestrators_subscriber_acknowledged_or_else_any(
    tmp_path: Path, subscribers: list[str], acknowledged: list[tuple[str, int]], read: int
) -> None:
    daemon: Any = Daemon(Options("roster.yaml", "s.sock", str(tmp_path)))
    daemon._roster = SimpleNamespace(orchestrator=SimpleNamespace(name="mos"))
    listed = [Subscriber(name, 0, 0, None) for name in subscribers]
    daemon._journal = SimpleNamespace(subscribers=lambda: listed)
    for name, seq in acknowledged:
        daemon._acknowledged(name, seq)
    assert daemon._receipt_seq == read
    assert daemon._receipt.is_set() == bool(read)


async def test_the_watchdog_is_fed_while_the_journals_thread_is_there(tmp_path: Path) -> None:
    daemon: Any = Daemon(Options("roster.yaml", "s.sock", str(tmp_path)))
    daemon._journal = SimpleNamespace(running=True)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        daemon._journal.running = len(told) < 3

    daemon._notifier = SimpleNamespace(tell=tell)
    await daemon._feed_watchdog(0.001)
    assert told == ["WATCHDOG=1"] * 3
