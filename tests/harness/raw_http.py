"""Bytes straight onto the socket, for requests that no HTTP client would make."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """All that came back.

    Attributes:
        closed: the daemon closed the connection.
    """

    content: bytes
    closed: bool

    @property
    def status(self) -> int | None:
        """The first answer's status; None when there was no answer."""
        words = self.content.split(b" ", 2)
        return int(words[1]) if self.content.startswith(b"HTTP/") else None

    @property
    def header(self) -> bytes:
        return self.content.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.content.partition(b"\r\n\r\n")[2]

    @property
    def problem(self) -> Any:
        """The parsed body of an answer that must be a problem."""
        assert b"application/problem+json" in self.header, self.content
        return json.loads(self.body)


async def exchange(socket: Path, content: bytes, *, quiet_s: float = 0.3) -> RawAnswer:
    """Send `content` and read until the connection ends or nothing more comes for `quiet_s`."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    received, closed = b"", False
    try:
        writer.write(content)
        while not closed:
            # The first byte may take its time; after that, silence is the end of the answer.
            async with asyncio.timeout(quiet_s if received else 10.0):
                chunk = await reader.read(1 << 16)
            received += chunk
            closed = not chunk
    except TimeoutError:
        pass
    except ConnectionError:
        closed = True
    finally:
        writer.close()
    return RawAnswer(received, closed)
