"""The roster, the kind of chat that it chooses, and the secrets that this kind needs."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from fleetchatd.connectors import registry
from fleetchatd.connectors.guide import Finding, LogsIn
from fleetchatd.errors import RosterError, SecretError
from fleetchatd.roster import Roster
from fleetchatd.secrets import login_path, read_secret
from fleetchatd.setup.findings import told

_SEE_WHOSE = "see whose it is, and whether it may be read"

_PROBLEM = re.compile(r"(.*) \(((?:[^()]|\([^()]*\))+)\)", re.DOTALL)
"""A problem of a roster's, with its remedy in brackets at the end."""


def look_at_roster(roster: Roster | RosterError) -> Iterator[Finding]:
    """What the roster says in short, or every problem in it."""
    if isinstance(roster, RosterError):
        yield from (Finding("error", *_split(problem)) for problem in roster.problems)
    else:
        who = f"the orchestrator is {roster.host}:{roster.orchestrator.name}"
        yield Finding("ok", f"roster {roster.path}: connector {roster.connector_kind}, {who}")
        yield from (Finding("warning", *_split(doubt)) for doubt in roster.doubts)


def _split(problem: str) -> tuple[str, str]:
    if found := _PROBLEM.fullmatch(problem):
        return found[1], found[2]
    return told(problem, "mend that line")


def look_at_connector(kind: str) -> Iterator[Finding]:
    """Whether something here implements the kind."""
    found = registry.connector_class(kind)
    yield Finding("ok", f"connector {kind}: {found.__module__} implements it")


def look_at_secrets(kind: str, state_dir: str, *, held: bool) -> Iterator[Finding]:
    """Each secret: where it was found, and who else may read it there.

    Args:
        kind: what needs them.
        state_dir: where logins are stored.
        held: whether a daemon is at work with them. systemd shows its credentials to nobody else.
    """
    for name in registry.secret_names(kind):
        try:
            secret = read_secret(name, state_dir)
        except SecretError as error:
            elsewhere = held and not _is_anywhere(name, state_dir)
            yield _held(name) if elsewhere else _unusable(kind, name, state_dir, error)
        else:
            yield Finding("ok", f"secret {name}: from {secret.source}", about=name)
        yield from _look_at_files(name, state_dir)


def missing_secrets(kind: str, state_dir: str) -> frozenset[str]:
    """The names of those that cannot be had from here."""
    return frozenset(name for name in registry.secret_names(kind) if not _is_there(name, state_dir))


def _is_anywhere(name: str, state_dir: str) -> bool:
    """Whether there is something, usable or not, in a place where the secret is looked for."""
    return name.upper() in os.environ or any(map(os.path.lexists, _files(name, state_dir)))


def _files(name: str, state_dir: str) -> list[Path]:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return [login_path(name, state_dir), *([Path(folder) / name] if folder else [])]


def _is_there(name: str, state_dir: str) -> bool:
    try:
        read_secret(name, state_dir)
    except SecretError:
        return False
    return True


def _held(name: str) -> Finding:
    what = f"secret {name}: the daemon has it, from where it cannot be seen from here"
    return Finding("ok", what, about=name)


def _unusable(kind: str, name: str, state_dir: str, error: SecretError) -> Finding:
    what, remedy = told(str(error), _SEE_WHOSE)
    remedy = remedy.removeprefix("run `fleetchat login`, or ")
    # A login helps where it is not outranked, and can be stored.
    helps = str(login_path(name, state_dir)) in what and remedy != _SEE_WHOSE
    if helps and isinstance(registry.guide(kind), LogsIn):
        remedy = f"log in with `fleetchat login {kind}`, or {remedy}"
    return Finding("error", what, remedy, name)


def _look_at_files(name: str, state_dir: str) -> Iterator[Finding]:
    """The files of a secret, whether they count or another one outranks them."""
    for path in _files(name, state_dir):
        try:
            found = path.stat()
        except OSError:  # it is not there, or was told to be unreadable
            continue
        where, mode = shlex.quote(str(path)), stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            what = f"secret {name}: others may read {path} (mode {mode:04o})"
            yield Finding("warning", what, f"chmod 600 {where}", name)
        if path == login_path(name, state_dir) and found.st_uid != Path(state_dir).stat().st_uid:
            what = f"secret {name}: {path} does not belong to whom the state directory belongs"
            remedy = f"chown --reference={shlex.quote(state_dir)} {where}"
            yield Finding("error", what, remedy, name)
