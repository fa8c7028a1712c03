"""Setting up tmux: the program, its server, the operator's session and what is in its pane.

It only looks: each question is a process of tmux's own that attaches to nothing and starts nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.guide import Finding, Settings
from fleetchatd.connectors.probe import finding
from fleetchatd.connectors.tmux.session import console_command
from fleetchatd.connectors.tmux.settings import SCHEMA
from fleetchatd.connectors.tmux.situation import Occupant, situation
from fleetchatd.connectors.tmux.watch import looked_into
from fleetchatd.connectors.untrusted import one_line
from fleetchatd.tmux import badge, panes
from fleetchatd.tmux.errors import NoServerError, NoTmuxError, TmuxError
from fleetchatd.tmux.panes import Pane
from fleetchatd.tmux.server import Server, environment, run

OLDEST = (3, 2)
"""The first version of tmux that has all that is used here."""

_NUMBER = re.compile(r"(\d{1,3})\.(\d{1,3})")
_WHERE = re.compile("^(no server running on|error connecting to) ")
_SESSION = "#{version}\t#{socket_path}\t#{session_name}"


class TmuxGuide:
    """Helps to set up the tmux kind."""

    async def examine(self, settings: Settings, context: Context) -> AsyncIterator[Finding]:
        """Look at the program, its server, the session and its pane."""
        try:
            yield version_finding(await run(["tmux", "-V"]))
        except NoTmuxError as error:
            yield finding("error", str(error), None, None)
            return
        except TmuxError:  # that of OpenBSD may know no -V
            yield version_finding("")
        yield locale_finding(os.environ)
        command = settings.get("command") or console_command(context.state_dir)
        yield _command_finding(command)
        if _is_anothers(context.state_dir):
            what = "the daemon runs as another user, whose tmux server cannot be seen from here"
            yield Finding("warning", what, "run this as that user, with the daemon's TMUX_TMPDIR")
            return
        server = Server(settings.get("socket_name") or context.tmux_socket_name)
        names: list[str] = []
        try:
            listed = (await server.run("list-sessions", "-F", _SESSION)).splitlines()
        except TmuxError as error:
            yield _no_server_finding(server, error)
        else:
            names = [line.rpartition("\t")[2] for line in listed]
            yield _server_finding(server, listed)
            session = settings.get("session", SCHEMA["properties"]["session"]["default"])
            yield await _session_finding(server, session, badge.is_console(command))
        if context.host == socket.gethostname().partition(".")[0]:
            yield _orchestrator_finding(server, context.orchestrator, names)


def version_finding(said: str) -> Finding:
    """Whether that tmux will do.

    Args:
        said: `tmux 3.3a`, `tmux next-3.5`, `tmux master`, `tmux openbsd-7.3`: nothing is promised.
    """
    said = one_line(said) or "tmux"
    number = None if "openbsd" in said else _NUMBER.search(said)
    oldest = ".".join(map(str, OLDEST))
    if number is None:
        remedy = f"make sure that it is at least {oldest}"
        return Finding("warning", f"{said} does not tell its version", remedy)
    if (int(number[1]), int(number[2])) < OLDEST:
        return Finding("error", f"{said} is too old", f"install tmux {oldest} or later")
    return Finding("ok", f"{said} is installed")


def locale_finding(environ: Mapping[str, str]) -> Finding:
    """Whether texts can be shown as they are, by the rule that tmux itself goes by."""
    variables = ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((environ[name] for name in variables if environ.get(name)), "")
    if re.search("utf-?8", locale, re.IGNORECASE):
        return Finding("ok", f"the locale {one_line(locale)} is UTF-8")
    what = f"the locale {one_line(locale) or '(none is set)'} is not UTF-8"
    return Finding("warning", what, "set LANG=C.UTF-8 where you attach and where the daemon starts")


def _command_finding(command: Sequence[str]) -> Finding:
    shown = one_line(" ".join(command))
    # By the environment that a server which we start gets.
    if shutil.which(command[0], path=environment().get("PATH")) is None:
        remedy = "install it, or mend connector.tmux.command in the roster"
        return Finding("error", f"cannot find the program of `{shown}`", remedy, "command")
    return Finding("ok", f"`{shown}` can be started")


def _is_anothers(state_dir: Path) -> bool:
    """Whether that is another user's: the service's of the system, say."""
    try:
        return os.stat(state_dir).st_uid != os.getuid()
    except OSError:  # there is none yet
        return False


def _no_server_finding(server: Server, error: TmuxError) -> Finding:
    reason = one_line(str(error))
    if isinstance(error, NoServerError) and "denied" not in reason:
        where = _WHERE.sub("", reason).partition(" (")[0]
        what = f"`{server.shown()}` does not run on {where} yet (a daemon started here starts it)"
        return Finding("ok", what)
    remedy = "look as the user that the daemon runs as, and with its TMUX_TMPDIR"
    what = f"cannot ask `{server.shown()}`: {reason}"
    return Finding("error", what, remedy, "socket_name")


def _server_finding(server: Server, listed: Sequence[str]) -> Finding:
    version, _, rest = (listed[0] if listed else "").partition("\t")
    what = f"`{server.shown()}` runs on {one_line(rest.partition(chr(9))[0])}"
    # It may be older than the program, if that was upgraded since.
    if version_finding(version).level == "error":
        remedy = f"end it, and all that runs in it, with `{server.shown()} kill-server`"
        return Finding("error", f"{what} since tmux was {one_line(version)}, too old", remedy)
    return Finding("ok", what)


async def _session_finding(server: Server, session: str, console: bool) -> Finding:
    """What is in the session's pane.

    Args:
        server: where it is.
        session: its exact name.
        console: whether the console is what should be there.
    """
    try:
        lines = await server.run("list-panes", "-s", "-t", f"={session}:", "-F", panes.FORMAT)
    except NoServerError:
        return Finding("ok", f"session {session} is not there yet, and is started by the daemon")
    except TmuxError as error:
        return finding("error", f"cannot look into session {session}: {error}", "session", None)
    pane = panes.choose(panes.parse_all(lines.splitlines()), None)
    if pane is None:
        what = f"session {session} has no pane in which a program runs"
        return Finding("error", what, "run `fleetchat console` there", "session")
    return _pane_finding(session, pane, console)


def _pane_finding(session: str, pane: Pane, console: bool) -> Finding:
    found = situation(*looked_into(pane))
    if found.occupant is Occupant.CONSOLE:
        return Finding("ok", f"the console runs in session {session}, pane {pane.id}")
    sentence = one_line(f"session {session}: {found.detail}", 500)
    if found.occupant is Occupant.UNSAFE:
        return finding("error", sentence, "session", None)
    if found.occupant is Occupant.NOBODY:  # messages wait for it
        return finding("warning", sentence, "session", None)
    if console:
        sentence += "; run `fleetchat console` there, unless you want it so"
    return finding("warning" if console else "ok", sentence, "session", None)


def _orchestrator_finding(server: Server, name: str, sessions: Sequence[str]) -> Finding:
    if re.sub("[.:]", "_", name) in sessions:  # as tmux writes it
        return Finding("ok", f"the orchestrator's session {name} is there")
    what = f"the orchestrator has no session {name} on `{server.shown()}`"
    return Finding("warning", what, "start your fleet, unless the orchestrator runs elsewhere")
