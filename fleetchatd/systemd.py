"""What systemd and the daemon tell each other: readiness, status, the watchdog, sockets."""

from __future__ import annotations

import os
import socket

import sdnotify

from fleetchatd.errors import FleetchatError

FIRST_FD = 3
"""The first inherited descriptor (sd_listen_fds(3))."""


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
        found = socket.socket(fileno=FIRST_FD)
    except OSError as error:
        raise _not_ours(error.strerror or str(error)) from None
    if not _listens(found):
        found.detach()
        raise _not_ours("it is not a listening Unix stream socket")
    os.set_inheritable(FIRST_FD, False)
    return found


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
