"""The Unix socket itself: made so that nobody else can open it, and who is at its other end."""

from __future__ import annotations

import grp
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from fleetchatd.errors import AlreadyRunningError, FleetchatError

SOCKET_MODE = 0o600
GROUP_SOCKET_MODE = 0o660

_UCRED = struct.Struct("3i")


class Peer(NamedTuple):
    """Who opened a connection (unix(7), SO_PEERCRED); -1 where that is not known any more."""

    pid: int
    uid: int


def peer_of(request: web.BaseRequest) -> Peer:
    """Who sent a request."""
    if request.transport is None:
        return Peer(-1, -1)
    end = request.transport.get_extra_info("socket")
    pid, uid, _ = _UCRED.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid)


def bind(path: str, group: str | None = None) -> socket.socket:
    """Make the socket at `path`, mode 0600 from the start under any umask.

    A socket that nobody listens on any more is replaced.

    Args:
        path: in a folder that not everybody may write to; it is made at need.
        group: may use it, too: then it has mode 0660 from the moment it listens.

    Raises:
        AlreadyRunningError: somebody listens on it.
        FleetchatError: it cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _prepare_folder(Path(path).parent)
        _remove_stale(path)
        with umask(0o777 & ~SOCKET_MODE):
            listener.bind(path)
        if group is not None:
            _share(path, group)
        listener.listen(1024)
    except LookupError:
        listener.close()
        unbind(path)
        raise FleetchatError(
            f"cannot make the socket {path} for the group {group}: there is no such group; make "
            "it, or name another with --socket-group"
        ) from None
    except OSError as error:
        listener.close()
        raise _cannot(path, error.strerror or str(error)) from error
    except FleetchatError:
        listener.close()
        raise
    return listener


def _share(path: str, group: str) -> None:
    number = grp.getgrnam(group).gr_gid
    if os.stat(path).st_gid != number:  # a sandbox may forbid a change even to what it is
        os.chown(path, -1, number)
    os.chmod(path, GROUP_SOCKET_MODE)


def unbind(path: str) -> None:
    """Remove a socket that `bind` made, while it still listens: later it may be another's."""
    Path(path).unlink(missing_ok=True)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Make files and folders under another umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _prepare_folder(folder: Path) -> None:
    """Make the folder, mode 0700, and those above it; refuse one that everybody may write to.

    The sticky bit (as on /tmp) is not enough: another user could take the path before us, and
    clients would talk to that.
    """
    with umask(0o077):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & stat.S_IWOTH:
        raise _cannot(str(folder), "everybody may write there")


def _remove_stale(path: str) -> None:
    if not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise _cannot(path, "there is something else of that name, which is no socket")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.setblocking(False)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        Path(path).unlink()
        return
    except BlockingIOError:
        pass  # somebody listens, who is too busy to accept
    finally:
        probe.close()
    raise AlreadyRunningError(
        f"cannot use the socket {path}: another fleetchatd listens on it; stop that one or "
        "name another socket"
    )


def _cannot(path: str, reason: str) -> FleetchatError:
    return FleetchatError(
        f"cannot make the socket {path}: {reason}; name one in a folder of your own with "
        "--socket or $FLEETCHATD_SOCKET"
    )
