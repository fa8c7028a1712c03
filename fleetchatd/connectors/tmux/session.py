"""The operator's session: started where it is missing, so that it outlives the daemon."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from fleetchatd.tmux import badge
from fleetchatd.tmux.errors import NoServerError, TmuxError
from fleetchatd.tmux.server import Server, environment, run

SIZE = ("-x", "100", "-y", "40")
"""Columns and lines until somebody attaches."""

FOR_THE_SERVER = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "SHELL", "TMUX_TMPDIR", "TZ")
"""What a server that the service manager starts is told of our environment."""

_UNEXPANDED = re.compile(r"#+(?![#\[])")
"""What tmux would expand in the name of a new session (tmux(1), FORMATS), even run as a command."""

log = structlog.get_logger("fleetchatd.connector")


def console_command(state_dir: Path) -> list[str]:
    """The operator's console as this Python has it."""
    program = Path(sys.executable).with_name("fleetchat")
    words = [str(program)] if program.exists() else [sys.executable, "-m", "fleetchatd.client.main"]
    return [*words, "console", "--state-dir", str(state_dir.resolve())]


async def ensure(server: Server, session: str, command: Sequence[str]) -> bool:
    """Start the session unless it exists; True if it was started.

    Raises:
        NoTmuxError: there is no tmux program.
        TmuxError: it cannot be started.
    """
    try:
        await server.run("has-session", "-t", f"={session}")
    except NoServerError:
        await _start(server, session, command)
        log.info("started the operator's session", session=session, server=server.shown())
        return True
    return False


async def _start(server: Server, session: str, command: Sequence[str]) -> None:
    name = _UNEXPANDED.sub(r"\g<0>\g<0>", session)
    words = server.command("new-session", "-d", *SIZE, "-s", name, "--", *_program(command))
    if badge.is_console(command):
        # In the same breath, so that its pane is never taken for another program's.
        mark = ("set-option", "-p", "-t", f"={session}:", badge.OPTION, badge.STARTING)
        words += [";", *mark]
    if _in_a_service() and not await _runs(server):
        await _start_outside(server, words)
    else:
        await run(words)


def _program(command: Sequence[str]) -> list[str]:
    """The command's words as tmux runs them without a shell's ideas about them."""
    if len(command) == 1:  # one word alone goes to a shell
        return [f"exec {shlex.quote(command[0])}"]
    return list(command)


def _in_a_service() -> bool:
    """Whether the service manager started this very process (systemd.exec(5))."""
    return os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


async def _runs(server: Server) -> bool:
    try:
        await server.run("list-sessions")
    except NoServerError:
        return False
    return True


async def _start_outside(server: Server, words: Sequence[str]) -> None:
    """Start the server in a unit of its own: one that we started would end with our service."""
    if "XDG_RUNTIME_DIR" not in os.environ:
        raise NoServerError(
            f"there is no tmux server ({server.shown()}), and one that this service starts would "
            "end with it; start fleetchatd-tmux.service"
        )
    ours = environment()
    told = [f"--setenv={name}={ours[name]}" for name in FOR_THE_SERVER if name in ours]
    how = ["systemd-run", "--user", "--quiet", "--collect", "--property=Type=forking", *told]
    try:
        await run([*how, "--", *words])
    except TmuxError as error:
        raise TmuxError(f"cannot start a tmux server outside the service: {error}") from None
