"""What a person should know once something was set up."""

from __future__ import annotations

import shlex
from pathlib import Path

from fleetchatd.client import output
from fleetchatd.client.connection import connect
from fleetchatd.client.errors import NoDaemonError
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret
from fleetchatd.places import socket_candidates
from fleetchatd.secrets import read_secret


def daemon_answers(socket_option: str | None) -> bool:
    """Whether a daemon runs where the client finds it."""
    try:
        connect(socket_candidates(socket_option)).close()
    except NoDaemonError:
        return False
    return True


def start_or_reload(
    socket_option: str | None, roster_option: str | None, state_option: str | None
) -> list[str]:
    """The commands that look once more at everything, and let the daemon use it.

    Args:
        socket_option: what `--socket` said.
        roster_option: what `--roster` said; None if the daemon finds it by itself.
        state_option: what `--state-dir` said.
    """
    options = {"--roster": roster_option, "--state-dir": state_option}
    places = [word for name, place in options.items() if place for word in (name, place)]
    socket = ["--socket", socket_option] if socket_option else []
    words = (
        ["fleetchat", *socket, "reload"]
        if daemon_answers(socket_option)
        else ["fleetchatd", *socket, *places]
    )
    return [shlex.join(["fleetchat", *socket, "doctor", *places]), shlex.join(words)]


def note_what_outranks(name: str, state_dir: str | Path, stored: Secret) -> None:
    """Say so if a daemon with our environment would not use what was stored just now.

    Args:
        name: the secret's.
        state_dir: where it is stored.
        stored: the secret itself.
    """
    try:
        used = read_secret(name, state_dir)
    except SecretError as error:
        output.note(str(error))
        return
    if used.value != stored.value:
        output.note(
            f"{used.source} comes before what is stored; remove it where the daemon is started, so"
            " that it uses this login"
        )
