"""What the daemon tells its consoles, and whether it is there."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from fleetchatd.tmux import marks
from fleetchatd.tmux.marks import Mark

LOOK_EVERY_S = 1.0
"""How often to look for a daemon that is away, in seconds."""


class Listener(Protocol):
    """Who wants to know."""

    def daemon_came(self) -> None:
        """It is there (again)."""

    def daemon_left(self) -> None:
        """It is not there (any more)."""

    def daemon_said(self, mark: Mark) -> None:
        """How far a submission has come."""


async def follow(folder: Path, listener: Listener) -> None:
    """Tell `listener` of the daemon whose socket is in `folder`, for ever."""
    while True:
        reader, writer = await _connected(folder, listener)
        listener.daemon_came()
        try:
            with suppress(OSError, ValueError):  # the connection broke, or a line without an end
                async for line in reader:
                    mark = marks.parse(line)
                    if mark is not None:
                        listener.daemon_said(mark)
        finally:
            writer.close()


async def _connected(
    folder: Path, listener: Listener
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    told = False
    while True:
        with suppress(OSError), marks.socket_path(folder) as path:
            return await asyncio.open_unix_connection(path)
        if not told:
            listener.daemon_left()
            told = True
        await asyncio.sleep(LOOK_EVERY_S)
