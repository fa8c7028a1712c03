"""The state directory is one instance's at a time, and its owner's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetchatd.errors import AlreadyRunningError, FleetchatError
from fleetchatd.state_dir import hold_state_dir


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
    with hold_state_dir(state):
        pass
    assert [mode(path) for path in (state.parent, state)] == [0o700, 0o700]
    assert mode(state / "lock") == 0o600
    state.chmod(0o755)
    with hold_state_dir(state):
        pass
    assert mode(state) == 0o700


def test_one_instance_holds_it_until_it_lets_go(tmp_path: Path) -> None:
    with hold_state_dir(tmp_path):
        names = Path("/proc/self/fd").iterdir()
        (lock,) = (int(one.name) for one in names if one.resolve() == tmp_path / "lock")
        assert not os.get_inheritable(lock)
        with (
            pytest.raises(AlreadyRunningError, match="another fleetchatd holds it"),
            hold_state_dir(tmp_path),
        ):
            pass
    with hold_state_dir(tmp_path):
        pass


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300])
def test_a_state_directory_that_cannot_be_is_an_error_with_a_remedy(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(FleetchatError, match=r"cannot use the state directory .*--state-dir"),
        hold_state_dir(tmp_path / name),
    ):
        pass
