"""A pane's terminal, from outside: what its line discipline holds that no program has read yet.

Whoever owns the terminal may look. Where that fails, the answers are None and 0: not known.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LONGEST_LINE_BYTES = 4095
"""What a line-buffered terminal takes of a line; more it drops without a word (termios(3))."""

_LOCAL_FLAGS = 3


def is_line_buffered(tty: str) -> bool | None:
    """Whether the terminal hands over whole lines (ICANON), as for `cat`; None if not known."""
    with suppress(OSError, termios.error), _opened(tty) as terminal:
        return bool(termios.tcgetattr(terminal)[_LOCAL_FLAGS] & termios.ICANON)
    return None


def unread(tty: str) -> int:
    """How many bytes wait for a program; of a line-buffered terminal, those of whole lines."""
    with suppress(OSError), _opened(tty) as terminal:
        answer = fcntl.ioctl(terminal, termios.FIONREAD, bytes(struct.calcsize("i")))
        return int(struct.unpack("i", answer)[0])
    return 0


def discard(tty: str) -> None:
    """Drop what no program has read, the beginning of a line too."""
    with suppress(OSError, termios.error), _opened(tty) as terminal:
        termios.tcflush(terminal, termios.TCIFLUSH)


@contextmanager
def _opened(tty: str) -> Iterator[int]:
    # Not to become our controlling terminal, and never to wait for anything.
    terminal = os.open(tty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield terminal
    finally:
        os.close(terminal)
