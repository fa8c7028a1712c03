"""What systemd and the daemon tell each other: readiness, status, the watchdog, sockets."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress

import sdnotify

from fleetchatd.errors import FleetchatError

FIRST_FD = 3
"""The first inherited descriptor (sd_listen_fds(3))."""

NOT_RUNNING = "not-running"
REQUEST_S = 0.2
"""How long a client that is turned away may take to say what it wanted, in seconds."""


class Notifier:
    """Tells the service manager how things stand; does nothing without one (sd_notify(3))."""

    def __init__(self) -> None:
        # The library warns about an unclosed socket when there is no manager.
        present = bool(os.environ.get("NOTIFY_SOCKET"))
        self._notifier = sdnotify.SystemdNotifier() if present else None
        self._status: str | None = None

    def tell(self, *lines: str) -> None:
        """Send an assignment a line, such as `READY=1`."""
        if self._notifier is not None:
            # The library takes what it sends for Latin-1; systemd wants UTF-8.
            text = "\n".join(lines).encode(errors="replace").decode("latin-1")
            self._notifier.notify(text)

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`, sent only when it changed."""
        text = " ".join(text.split())  # a line break out of a server's words would assign more
        if text != self._status:
            self._status = text
            self.tell(f"STATUS={text}")


def watchdog_interval_s() -> float | None:
    """How often the watchdog wants to hear of us, in seconds: half of `WATCHDOG_USEC`."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1_000_000 / 2 or None


def inherited_socket() -> socket.socket | None:
    """The socket that systemd opened for us, if it did (sd_listen_fds(3)).

    Raises:
        FleetchatError: it handed over something else.
    """
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal() or not int(count):
        return None
    try:
        found = socket.socket(fileno=os.dup(FIRST_FD))  # it stays open itself, for `turn_away`
    except OSError as error:
        raise _not_ours(error.strerror or str(error)) from None
    if not _listens(found):
        found.close()
        raise _not_ours("it is not a listening Unix stream socket")
    os.set_inheritable(FIRST_FD, False)
    return found


def turn_away(reason: str) -> None:
    """Answer 503 to those who wait on the socket that systemd opened for us, if it did.

    Left waiting, they would have systemd start a daemon that cannot run again at once, and again.
    """
    try:
        waiting = inherited_socket()
    except FleetchatError:
        return
    if waiting is None:
        return
    answer = _unavailable(reason)
    with waiting, suppress(BlockingIOError):  # when nobody waits any more
        waiting.setblocking(False)
        while True:
            client, _ = waiting.accept()
            with client, suppress(OSError):
                client.settimeout(REQUEST_S)
                client.recv(1 << 16)  # closed unread, it would look like a broken connection
                client.sendall(answer)


def _unavailable(reason: str) -> bytes:
    """A whole HTTP answer (RFC 9457)."""
    problem = {"title": "Service Unavailable", "status": 503, "detail": reason, "kind": NOT_RUNNING}
    body = json.dumps(problem).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _listens(found: socket.socket) -> bool:
    return (
        found.family == socket.AF_UNIX
        and found.type == socket.SOCK_STREAM
        and bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    )


def _not_ours(reason: str) -> FleetchatError:
    return FleetchatError(
        f"cannot use the inherited socket (LISTEN_FDS): {reason}; let the unit have one "
        "ListenStream= with a path"
    )
