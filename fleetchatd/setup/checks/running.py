"""The daemon that answers on the socket: is it ours, does it run what is set up here, is it well?

What is wrong with it is in its own health (health.py) and is not judged anew: a full disk, a
subscriber that nobody reads, a chat that cannot be reached.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fleetchatd import __version__, install_units
from fleetchatd.client.connection import connect
from fleetchatd.client.errors import ClientError, NoDaemonError, RefusedError
from fleetchatd.client.http import Client
from fleetchatd.client.looks import duration
from fleetchatd.connectors.guide import Finding, Level
from fleetchatd.connectors.untrusted import mapping_of
from fleetchatd.errors import FleetchatError
from fleetchatd.places import socket_candidates
from fleetchatd.roster import Roster
from fleetchatd.setup.findings import Report, told
from fleetchatd.setup.typed import Places

PATIENCE_S = 5.0
"""How long a daemon may take to say how it is, in seconds."""

OVERDUE_S = 60.0
"""A message that has been queued for so long, in seconds, is told of."""

_SEE_HEALTH = "see `fleetchat health`, and what the daemon has logged"
_SEE_LOG = "see what it has logged, or restart it"
_LEVELS: Mapping[object, Level] = {"ok": "ok", "degraded": "warning", "down": "error"}


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that answers.

    Attributes:
        socket: the path that it answers on, as it calls it itself.
        health: what it says of itself, not trusted.
    """

    socket: str
    health: Mapping[Any, Any]

    @property
    def connector(self) -> Mapping[Any, Any]:
        """The health of its connector."""
        return mapping_of(self.health.get("connector"))

    @property
    def roster_path(self) -> str | None:
        """The roster that it has loaded."""
        return _absolute(mapping_of(self.health.get("roster")).get("path"))

    @property
    def state_dir(self) -> str | None:
        """Its state directory, the folder of its journal."""
        journal = _absolute(mapping_of(self.health.get("journal")).get("path"))
        return None if journal is None else os.path.dirname(journal)

    def runs(self, roster_path: str | None) -> bool:
        """Whether it has loaded that roster, by the name of the file."""
        return _same(self.roster_path, roster_path)

    def keeps(self, state_dir: object) -> bool:
        """Whether that is its state directory."""
        return _same(self.state_dir, state_dir)


def _absolute(path: object) -> str | None:
    return path if isinstance(path, str) and path.startswith("/") and "\0" not in path else None


def _same(one: object, other: object) -> bool:
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    return os.path.realpath(one) == os.path.realpath(other)


def find_daemon(option: str | None) -> Running | ClientError:
    """The daemon that a client with this `--socket` would reach, or why there is none."""
    try:
        with connect(socket_candidates(option)) as connection:
            path = connection.getpeername()
        answer = Client(option).ask("GET", "/v1/health", accept=(503,), patience_s=PATIENCE_S)
        return Running(path, answer.json())
    except ClientError as error:
        return error


def look_at_daemon(
    found: Running | ClientError, roster: Roster | None, state_dir: object, report: Report
) -> Iterator[Finding]:
    """Whether one runs, and whether it is the one that the rest of what we look at is for.

    Args:
        found: on the socket.
        roster: that is looked at; None where it cannot be used.
        state_dir: that is looked at.
        report: of what was found before.
    """
    if isinstance(found, NoDaemonError):
        what, _ = told(str(found))
        denied = os.strerror(errno.EACCES) in what
        start = _start(report.places)
        remedy = "become one of those who may use it" if denied else start
        yield Finding("warning", what, remedy)
    elif isinstance(found, RefusedError) and found.status == HTTPStatus.SERVICE_UNAVAILABLE:
        # systemd holds the socket of a daemon that cannot run.
        remedy = "mend that; it is started with the next message"
        yield Finding("error", f"the daemon cannot run: {told(str(found))[0]}", remedy)
    elif isinstance(found, ClientError):
        yield Finding("error", *told(str(found), _SEE_LOG))
    else:
        yield from _version(found)
        yield from _roster(mapping_of(found.health.get("roster")), found, roster)
        if found.state_dir is not None and not found.keeps(state_dir):
            what = f"the daemon keeps its state in {found.state_dir}, and not in {state_dir}"
            remedy = "name that one with --state-dir, or restart the daemon with this one"
            yield Finding("warning", what, remedy)
        yield from _status(found, report)
        yield from _outbox(mapping_of(found.health.get("outbox")))


def _start(places: Places) -> str:
    """How to start the daemon on this machine."""
    units = ((True, "systemctl --user"), (False, "systemctl"))
    for user, command in () if places.socket or places.state_dir else units:
        try:
            files = list(install_units.standings(user))
        except (FleetchatError, OSError):
            continue
        if any(path.suffix == ".service" and how != "absent" for path, how in files):
            return f"start it with `{command} start fleetchatd`"
    return f"start it with `fleetchatd{places.options(('roster', 'socket', 'state_dir'))}`"


def _version(running: Running) -> Iterator[Finding]:
    theirs = running.health.get("version")
    if theirs != __version__:
        what = f"the daemon on {running.socket} is version {theirs}, and this is {__version__}"
        yield Finding("warning", what, "restart it, so that it is the one that is installed")


def _roster(loaded: Mapping[Any, Any], running: Running, ours: Roster | None) -> Iterator[Finding]:
    if loaded.get("error"):
        what = f"the daemon has refused the roster at its last reload: {loaded['error']}"
        yield Finding("error", what, "mend the roster, then run `fleetchat reload`")
    elif ours is not None and not running.runs(ours.path):
        what = f"the daemon runs with the roster {loaded.get('path')}, and not with {ours.path}"
        remedy = "name that one with --roster, or restart the daemon with this one"
        yield Finding("warning", what, remedy)
    elif ours is not None and _changed_since(loaded.get("loaded_at"), ours.path):
        what = f"{ours.path} has changed since the daemon has loaded it"
        yield Finding("warning", what, "run `fleetchat reload`")


def _changed_since(stamp: object, path: str) -> bool:
    try:
        loaded_at = datetime.fromisoformat(str(stamp)).timestamp()
        return os.stat(path).st_mtime > loaded_at + 0.001  # the stamp has milliseconds
    except (ValueError, OverflowError, OSError):
        return False


def _status(running: Running, report: Report) -> Iterator[Finding]:
    status = running.health.get("status")
    level = _LEVELS.get(status, "error")
    if level == "ok":
        up = duration(running.health.get("uptime_s"))
        yield Finding("ok", f"the daemon on {running.socket} is well, and up for {up}")
        return
    problems = running.health.get("problems")
    for problem in problems if isinstance(problems, list) and problems else ["it does not say why"]:
        what, remedy = told(str(problem), _SEE_HEALTH)
        if report.has_told(what):
            what, remedy = "for what stands above", "mend that first"
        yield Finding(level, f"the daemon on {running.socket} is {status}: {what}", remedy)


def _outbox(outbox: Mapping[Any, Any]) -> Iterator[Finding]:
    for name, how, remedy in (
        (
            "failed",
            "failed",
            "see which with `fleetchat history`; `fleetchat retry ID` tries again",
        ),
        ("waiting", "wait for another chat", "choose that one again, or `fleetchat cancel ID`"),
    ):
        if (number := _number(outbox.get(name))) > 0:
            messages = "1 message" if number == 1 else f"{number:.0f} messages"
            yield Finding("warning", f"of what was to be sent, {messages} {how}", remedy)
    age_s = _number(outbox.get("oldest_age_s"))
    if age_s > OVERDUE_S:
        what = f"a message has been waiting to be sent for {duration(age_s)}"
        yield Finding("warning", what, _SEE_HEALTH)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0
