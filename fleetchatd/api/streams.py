"""Who reads live under which name: one stream a name."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Stream:
    """A live reader.

    Attributes:
        waiting: what it waits on while it has nothing to write.
        last_line: what it has to end with, once it has to end.
    """

    waiting: asyncio.Future[None] | None = None
    last_line: bytes | None = None

    def end(self, last_line: bytes) -> None:
        """Let it write one last line and end."""
        self.last_line = last_line
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)


class Streams:
    """The live readers by the name of their subscriber."""

    def __init__(self) -> None:
        self._named: dict[str, Stream] = {}
        self._all: set[Stream] = set()
        self._ended = False

    def enter(self, name: str | None, stream: Stream) -> None:
        """Register a reader; `name` must be free."""
        self._all.add(stream)
        if self._ended:
            stream.end(b"")
        if name is not None:
            self._named[name] = stream

    def leave(self, name: str | None, stream: Stream) -> None:
        """Free its name, unless somebody took it over."""
        self._all.discard(stream)
        if name is not None and self._named.get(name) is stream:
            del self._named[name]

    def connected(self, name: str) -> bool:
        """Whether somebody reads under this name."""
        return name in self._named

    def supersede(self, name: str) -> None:
        """End the present reader, if there is one, because another takes over."""
        self._end(name, b'{"type":"superseded"}\n')

    def drop(self, name: str) -> None:
        """End the reader of a subscriber that was deleted."""
        self._end(name, b"")

    def _end(self, name: str, last_line: bytes) -> None:
        if stream := self._named.pop(name, None):
            stream.end(last_line)

    def end_all(self) -> None:
        """End every reader, and whoever comes now: the daemon stops."""
        self._ended = True
        for stream in list(self._all):
            stream.end(b"")
