"""The socket itself: nobody else may open it, and nothing that is not ours is removed."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetchatd.api import listener
from fleetchatd.errors import AlreadyRunningError, FleetchatError


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def any_umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_socket_is_0600_and_its_new_folders_0700_under_any_umask(
    tmp_path: Path, any_umask: int
) -> None:
    path = tmp_path / "above" / "run" / "s.sock"
    with listener.bind(str(path)):
        assert [mode(path), mode(path.parent), mode(path.parent.parent)] == [0o600, 0o700, 0o700]
    assert os.umask(any_umask) == any_umask


def test_a_folder_of_ones_own_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with listener.bind(str(tmp_path / "s.sock")):
        assert mode(tmp_path) == 0o755


def test_a_group_may_use_it_from_the_moment_it_listens(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with listener.bind(str(path), grp.getgrgid(os.getgid()).gr_name):
        assert mode(path) == 0o660
        assert path.stat().st_gid == os.getgid()


def test_a_group_that_is_not_there_is_named_and_no_socket_left(tmp_path: Path) -> None:
    with pytest.raises(
        FleetchatError, match=r"for the group nobodys: there is no such group; make it"
    ):
        listener.bind(str(tmp_path / "s.sock"), "nobodys")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("open_mode", [0o777, 0o1777, 0o702])
def test_a_folder_that_everybody_may_write_to_is_refused_sticky_or_not(
    tmp_path: Path, open_mode: int
) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(open_mode)
    with pytest.raises(FleetchatError, match=r"cannot make the socket .*everybody may write there"):
        listener.bind(str(folder / "s.sock"))
    assert list(folder.iterdir()) == []


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    listener.bind(str(path)).close()
    assert path.exists()
    with listener.bind(str(path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_on_which_somebody_listens_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with listener.bind(str(path)), socket.socket(socket.AF_UNIX) as client:
        with pytest.raises(AlreadyRunningError, match="another fleetchatd listens"):
            listener.bind(str(path))
        client.connect(str(path))


def test_somebody_too_busy_to_accept_is_alive_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    clients: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        try:
            while not clients or clients[-1].connect_ex(str(path)) != errno.EAGAIN:
                clients.append(socket.socket(socket.AF_UNIX))
                clients[-1].setblocking(False)
            with pytest.raises(AlreadyRunningError):
                listener.bind(str(path))
        finally:
            for client in clients:
                client.close()


def test_a_file_of_that_name_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "important"
    path.write_text("mine")
    with pytest.raises(FleetchatError, match="something else of that name"):
        listener.bind(str(path))
    assert path.read_text() == "mine"


def test_a_link_is_not_followed_and_not_removed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "s.sock"
    target.write_text("mine")
    link.symlink_to(target)
    with pytest.raises(FleetchatError, match="something else of that name"):
        listener.bind(str(link))
    assert link.is_symlink()
    assert target.exists()


@pytest.mark.parametrize("name", ["x" * 200, "file/s.sock"])
def test_a_path_that_cannot_be_is_an_error_with_a_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FleetchatError, match=r"cannot make the socket .*--socket"):
        listener.bind(str(tmp_path / name))
