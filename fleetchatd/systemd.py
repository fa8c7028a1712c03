"""What systemd and the daemon tell each other: readiness, status, the watchdog, sockets."""

from __future__ import annotations

import os
import socket

import sdnotify

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
            self._notifier.notify("\n".join(lines))

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`, sent only when it changed."""
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
    """The socket that systemd opened for us, if it did (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not os.environ.get("LISTEN_FDS"):
        return None
    found = socket.socket(fileno=FIRST_FD)
    if found.family != socket.AF_UNIX:
        found.detach()
        return None
    os.set_inheritable(FIRST_FD, False)
    return found
