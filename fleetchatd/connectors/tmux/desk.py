"""The daemon's end of `console/socket`: consoles see that we are there, and get their marks."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from fleetchatd.tmux.marks import Mark, socket_path
from fleetchatd.tmux.spool import Spool, SpoolError


class Desk:
    """Where consoles connect to.

    Args:
        spool: its folder is the place.
        changed: called when a console has come or gone; tmux may not tell.
    """

    def __init__(self, spool: Spool, changed: Callable[[], None]) -> None:
        self._spool = spool
        self._changed = changed
        self._consoles: dict[socket.socket, int] = {}
        self._listening: socket.socket | None = None
        self._taken: Mark | None = None

    def open(self) -> None:
        """Listen, in the place of whoever listened before.

        Raises:
            SpoolError: the folder does not allow it.
        """
        if self._listening is not None:
            return
        place = self._spool.folder / "socket"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            place.unlink(missing_ok=True)
            with socket_path(self._spool.folder) as path:
                listening.bind(path)
                os.chmod(path, 0o600)
            listening.listen()
        except OSError as error:
            listening.close()
            raise SpoolError(f"cannot listen on {place}: {error.strerror}") from None
        self._listening = listening
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Hang up; consoles see that we are away."""
        if self._listening is None:
            return
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        self._listening = None
        for console in list(self._consoles):
            self._let_go(console)
        with suppress(OSError):
            (self._spool.folder / "socket").unlink()

    def serves(self, pid: int) -> bool:
        """Whether the console that is this process has connected."""
        return pid in self._consoles.values()

    def tell(self, mark: Mark) -> None:
        """Tell every console how far a submission has come."""
        if mark.kind == "taken":
            self._taken = mark
        for console in list(self._consoles):
            self._write(console, mark)

    def _accept(self, listening: socket.socket) -> None:
        try:
            console, _ = listening.accept()
        except OSError:  # it has gone again, or there are no descriptors left
            return
        console.setblocking(False)
        self._consoles[console] = _peer(console)
        # A console has nothing to say: there is its end to read, or whoever speaks is none.
        asyncio.get_running_loop().add_reader(console, self._let_go, console)
        if self._taken is not None:
            self._write(console, self._taken)
        self._changed()

    def _write(self, console: socket.socket, mark: Mark) -> None:
        line = mark.line()
        try:
            written = console.send(line)
        except OSError:  # it went, or has stopped and leaves everything unread
            written = 0
        if written < len(line):
            self._let_go(console)

    def _let_go(self, console: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(console)
        console.close()
        del self._consoles[console]
        self._changed()


def _peer(console: socket.socket) -> int:
    """The process at the other end (unix(7), SO_PEERCRED)."""
    size = struct.calcsize("3i")
    pid, _, _ = struct.unpack("3i", console.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(pid)
