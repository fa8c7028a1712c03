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

LONGEST_BACKLOG_BYTES = 64 * 1024
"""A console that leaves so much unread has stopped; it sees us again when it connects anew."""


class Desk:
    """Where consoles connect to.

    Args:
        spool: its folder is the place.
        changed: called when a console has come or gone; tmux may not tell.
    """

    def __init__(self, spool: Spool, changed: Callable[[], None]) -> None:
        self._spool = spool
        self._changed = changed
        self._consoles: dict[asyncio.WriteTransport, int] = {}
        self._server: asyncio.Server | None = None
        self._taken: Mark | None = None

    async def open(self) -> None:
        """Listen, in the place of whoever listened before.

        Raises:
            SpoolError: the folder does not allow it.
        """
        if self._server is not None:
            return
        place = self._spool.folder / "socket"
        try:
            place.unlink(missing_ok=True)
            with socket_path(self._spool.folder) as path:
                self._server = await asyncio.get_running_loop().create_unix_server(
                    lambda: _Line(self), path
                )
                os.chmod(path, 0o600)
        except OSError as error:
            raise SpoolError(f"cannot listen on {place}: {error.strerror}") from None

    def close(self) -> None:
        """Hang up; consoles see that we are away."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for console in list(self._consoles):
            console.abort()
        with suppress(OSError):
            (self._spool.folder / "socket").unlink()

    def tell(self, mark: Mark) -> None:
        """Tell every console how far a submission has come."""
        if mark.kind == "taken":
            self._taken = mark
        for console in list(self._consoles):
            self._write(console, mark)

    def serves(self, pid: int) -> bool:
        """Whether the console that is this process has connected."""
        return pid in self._consoles.values()

    def connected(self, console: asyncio.WriteTransport) -> None:
        """A console is there."""
        self._consoles[console] = _peer(console)
        self._changed()
        if self._taken is not None:
            self._write(console, self._taken)

    def gone(self, console: asyncio.WriteTransport) -> None:
        """It is there no more."""
        self._consoles.pop(console, None)
        self._changed()

    def _write(self, console: asyncio.WriteTransport, mark: Mark) -> None:
        if console.get_write_buffer_size() > LONGEST_BACKLOG_BYTES:
            console.abort()
        else:
            console.write(mark.line())


def _peer(console: asyncio.WriteTransport) -> int:
    """The process at the other end (unix(7), SO_PEERCRED)."""
    credentials = console.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    pid, _, _ = struct.unpack("3i", credentials)
    return int(pid)


class _Line(asyncio.Protocol):
    """One console's connection. It has nothing to say: whoever speaks is none."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._desk.connected(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._desk.gone(self._transport)
