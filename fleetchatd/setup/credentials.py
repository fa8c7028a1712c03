"""What a person logs in with: read from standard input, or typed where nobody can see it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from getpass import getpass

from fleetchatd.client.errors import UsageError
from fleetchatd.connectors.guide import Credential, Way
from fleetchatd.model import Secret
from fleetchatd.secrets import LONGEST_BYTES
from fleetchatd.setup import prompts
from fleetchatd.setup.context import hidden

WAYS: dict[Way, str] = {
    "password": "with its password, which is neither shown nor kept",
    "token": "with an access token, which is not shown",
}


async def ask(way: Way) -> Credential | None:
    """Ask a person; None if they just press Enter. Raises as `prompts.ask` does."""
    typed = await prompts.ask_hidden(f"{way.capitalize()}:")
    return _credential(way, typed) if typed else None


async def ask_how(ways: Sequence[Way]) -> Way:
    """Which way a person wants to go. Raises as `prompts.ask` does."""
    if len(ways) == 1:
        return ways[0]
    return await prompts.choose("Log in to the bot's account", {WAYS[way]: way for way in ways})


def read(way: Way) -> Credential:
    """The one line on standard input, without its end.

    Raises:
        UsageError: it is no such line.
    """
    if sys.stdin is None:  # the shell's `<&-`
        raise _unusable(way, "standard input is closed")
    try:
        with _interruptible():
            if sys.stdin.isatty():  # where it would be shown as it is typed
                return _credential(way, _line(way, getpass(f"{way.capitalize()}: ").encode()))
            raw = sys.stdin.buffer.read(LONGEST_BYTES + 1)
    except EOFError:
        raise prompts.StoppedError from None
    except OSError as error:
        raise _unusable(way, f"standard input cannot be read: {error.strerror}") from None
    return _credential(way, _line(way, raw))


def _credential(way: Way, value: str) -> Credential:
    """What was given; from here on no message shows a token, and a guide sees to passwords."""
    if way == "token":
        hidden(Secret(value))
    return Credential(way, value)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a read: asyncio would tell only its loop, which waits for us meanwhile."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # it came before this
            raise KeyboardInterrupt
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _line(way: Way, raw: bytes) -> str:
    line = raw.removesuffix(b"\n").removesuffix(b"\r")
    if not line:
        raise _unusable(way, "standard input is empty")
    if len(raw) > LONGEST_BYTES:
        raise _unusable(way, f"it is longer than {LONGEST_BYTES} bytes")
    if b"\n" in line:
        raise _unusable(way, "standard input has more than one line")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise _unusable(way, "it is not UTF-8") from None


def _unusable(way: Way, why: str) -> UsageError:
    return UsageError(f"cannot use the {way}: {why}; write nothing but the {way} to it")
