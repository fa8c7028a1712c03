"""What a running daemon tells the consoles, over `console/socket`: a line of JSON each.

    {"kept": ID}     it is journalled: nothing that happens loses it any more
    {"taken": ID}    the orchestrator has acknowledged everything up to it

The connection itself says the most: as long as it stands, the daemon is there. Nothing is read
from a console, and nothing depends on these lines but what the operator sees.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_KINDS = ("kept", "taken")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one submission has come."""

    kind: Literal["kept", "taken"]
    id: str

    def line(self) -> bytes:
        """As it goes over the socket."""
        return json.dumps({self.kind: self.id}).encode() + b"\n"


def parse(line: bytes) -> Mark | None:
    """The mark in a line; None if there is none that we know."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    for kind in _KINDS:
        if isinstance(said.get(kind), str):
            return Mark(kind, said[kind])  # type: ignore[arg-type]
    return None


@contextmanager
def socket_path(folder: Path) -> Iterator[str]:
    """A name of `folder`'s socket that is short enough for the kernel, however deep the folder."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/socket"
    finally:
        os.close(descriptor)
