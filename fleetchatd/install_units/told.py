"""What the command says while it works, for whom it may concern."""

from __future__ import annotations

import os
import sys

from fleetchatd.errors import FleetchatError


def say(words: str) -> None:
    """Write a line to standard output. Who has stopped reading stops none of the work.

    Raises:
        FleetchatError: it cannot be written.
    """
    try:
        print(words, flush=True)
    except OSError as error:
        # What is left in the buffer would fail once more at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise FleetchatError(
                f"cannot write to standard output what is done: {error.strerror}; make room there"
            ) from None
