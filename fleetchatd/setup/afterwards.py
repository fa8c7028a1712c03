"""What a person should know once something was set up."""

from __future__ import annotations

from pathlib import Path

from fleetchatd.client import output
from fleetchatd.client.connection import connect
from fleetchatd.client.errors import NoDaemonError
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret
from fleetchatd.places import socket_candidates
from fleetchatd.secrets import read_secret
from fleetchatd.setup.typed import Places


def daemon_answers(socket_option: str | None) -> bool:
    """Whether a daemon runs where the client finds it."""
    try:
        connect(socket_candidates(socket_option)).close()
    except NoDaemonError:
        return False
    return True


def start_or_reload(places: Places) -> list[str]:
    """The commands that look once more at everything, and let the daemon use it."""
    everything = places.options(["socket", "roster", "state_dir"])
    reload = places.typed("fleetchat reload")
    start = f"fleetchatd{everything}"
    return [f"fleetchat doctor{everything}", reload if daemon_answers(places.socket) else start]


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


def note_what_lives_on(earlier: Secret | None, stored: Secret) -> None:
    """Say so if another server's login was replaced, which nobody here can end any more.

    Args:
        earlier: what was stored before.
        stored: in its place, just now.
    """
    if earlier is not None and not earlier.is_for(*stored.servers):
        device = f" its device {earlier.device_id}" if earlier.device_id else ""
        output.note(
            f"the login that was stored before, for {earlier.servers[0]}, is good there still; if"
            f" nobody needs it, sign out{device} there"
        )
