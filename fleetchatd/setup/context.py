"""What the commands that set up share: what a kind's guide works with, and how errors end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fleetchatd import logs
from fleetchatd.client.errors import ClientError
from fleetchatd.connectors.base import Context
from fleetchatd.errors import FleetchatError, SecretError
from fleetchatd.model import Secret
from fleetchatd.roster import DEFAULT_TMUX_SOCKET, ORCHESTRATOR, Roster
from fleetchatd.secrets import exchange, read_secret, store_login

T = TypeVar("T")

SHORTEST_SECRET = 8
"""What is shorter is no token, and may be part of any word that we say."""


def context_for(roster: Roster | None, state_dir: str | Path) -> Context:
    """What a guide, or a connector that is only tried, works with: the daemon's own secrets.

    Args:
        roster: None while there is none yet.
        state_dir: the daemon's; it need not exist, and is made when a login is stored.
    """

    def secret(name: str) -> Secret:
        return hidden(read_secret(name, state_dir))

    def store_secret(name: str, secret: Secret) -> None:
        store_login(name, state_dir, hidden(secret))

    return Context(
        orchestrator=roster.orchestrator.name if roster else ORCHESTRATOR,
        host=roster.host if roster else socket.gethostname().partition(".")[0],
        state_dir=Path(state_dir),
        secret=secret,
        store_secret=store_secret,
        exchange=partial(exchange, state_dir),
        health_changed=lambda: None,
        tmux_socket_name=roster.tmux_socket_name if roster else DEFAULT_TMUX_SOCKET,
    )


def hidden(secret: Secret) -> Secret:
    """The secret; from here on no message shows it, whoever has repeated it."""
    for value in (secret.value, secret.refresh_token):
        if value and len(value) >= SHORTEST_SECRET:
            logs.hide(value)
    return secret


def stored_login(name: str, state_dir: str | Path) -> Secret | None:
    """The login that is stored, whatever the environment says; None if there is none to use."""
    try:
        return hidden(read_secret(name, state_dir, {}))
    except SecretError:
        return None


def refuse_unwritable(path: str | Path) -> None:
    """Refuse while nothing is lost by it; what shows only in writing (a full disk) is told then.

    Raises:
        ClientError: no file can be made there.
    """
    try:
        folder = os.path.dirname(os.path.realpath(path))
    except OSError as error:  # a relative path where the folder that we are in is gone
        raise ClientError(f"cannot write {path}: {error.strerror}; name its whole path") from error
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if not may_be_written(folder):
        raise ClientError(f"cannot write {path}: {folder} may not be written to; see to its rights")


def may_be_written(folder: str) -> bool:
    """Whether we may make files in a folder that is there."""
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run what a command does, and give what it returns.

    Connectors log nothing meanwhile: whatever a person should know becomes a finding.

    Raises:
        ClientError: it cannot be done; exit 1.
    """
    logs.configure("console", "critical")
    with refusals():
        return asyncio.run(work)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what fleetchatd refuses into the command's own refusal: a sentence, and exit 1.

    A server may have repeated the token that it was shown.
    """
    try:
        yield
    except FleetchatError as error:
        raise ClientError(logs.without_secrets(str(error))) from error
