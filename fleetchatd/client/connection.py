"""Getting through to the daemon."""

from __future__ import annotations

import socket
import time

from fleetchatd.client.errors import NoDaemonError

PATIENCE_S = 30.0
"""How long the daemon may take for what it should do at once."""


def connect(candidates: list[str]) -> socket.socket:
    """The first of these sockets where somebody answers.

    Raises:
        NoDaemonError: none does; its text names each with the reason.
    """
    refusals = []
    remedy = "start it, or name its socket with --socket"
    for path in candidates:
        try:
            return _connect_to(path)
        except OSError as error:
            refusals.append(f"{path} ({error.strerror or error})")
            if isinstance(error, PermissionError):  # there is one, then
                remedy = "become its user or one of its group, or name another socket with --socket"
    tried = ", ".join(refusals)
    raise NoDaemonError(f"cannot reach fleetchatd: tried {tried}; {remedy}")


def _connect_to(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + PATIENCE_S
    try:
        connection.settimeout(PATIENCE_S)
        while True:
            try:
                connection.connect(path)
            except (
                BlockingIOError
            ):  # the queue is full: Linux has a Unix socket wait by asking again
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return connection
    except BaseException:
        connection.close()
        raise
