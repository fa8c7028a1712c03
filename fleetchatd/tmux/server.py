"""One tmux server, named by its socket: its command line, and what it may inherit of us."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress

from fleetchatd.tmux.errors import GoneError, NoServerError, NoTmuxError, TmuxError

PATIENCE_S = 10.0
"""How long a command of tmux may take, in seconds."""

_NOT_FOR_PANES = (
    "MATRIX_ACCESS_TOKEN",
    "DISCORD_BOT_TOKEN",
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MANAGERPID",
    "TMUX",
    "TMUX_PANE",
)
_MISSING = ("no server running", "error connecting", "can't find session", "no sessions")


def environment() -> dict[str, str]:
    """What a tmux process may inherit of ours.

    A server hands its environment to every pane: no secret may be in it, and nothing that speaks
    of us to the service manager. `TMUX` would have tmux refuse to attach from within a pane.
    """
    return {name: value for name, value in os.environ.items() if name not in _NOT_FOR_PANES}


class Server:
    """The server behind `tmux -L socket_name`, or behind a socket's path."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def command(self, *words: str) -> list[str]:
        """The command line that has the server do `words`; it is taken for a UTF-8 terminal."""
        by = "-S" if "/" in self.socket else "-L"
        return ["tmux", "-u", by, self.socket, *map(_word, words)]

    def shown(self) -> str:
        """The server as a person names it."""
        return " ".join(("tmux", *self.command()[2:]))

    async def run(self, *words: str) -> str:
        """Have it do one thing through a process of its own, and give the output.

        Raises:
            NoTmuxError: there is no tmux program.
            NoServerError: there is no such server or session.
            GoneError: it does not answer.
            TmuxError: it refused.
        """
        return await run(self.command(*words))


async def run(command: Sequence[str]) -> str:
    """Run a command of tmux's to its end; raises as `Server.run`."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
    except OSError as error:
        raise NoTmuxError(
            f"cannot run {command[0]}: {error.strerror}; install it (apt install tmux)"
        ) from None
    try:
        async with asyncio.timeout(PATIENCE_S):
            out, errors = await process.communicate()
    except TimeoutError:
        raise GoneError(f"cannot talk with tmux: no answer within {PATIENCE_S:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise refused(errors.decode("utf-8", "replace").strip() or f"exit {process.returncode}")
    return out.decode("utf-8", "replace")


def _word(word: str) -> str:
    """A word as it is: one that ends in a semicolon would end tmux's command."""
    return word[:-1] + "\\;" if word.endswith(";") else word


def refused(words: str) -> TmuxError:
    """The error that tmux's own words mean."""
    kind = NoServerError if any(sign in words for sign in _MISSING) else TmuxError
    return kind(words)
