"""Where things are (contract §1): the first place that applies wins.

The client imports this on its way to every command, so it needs nothing but `os`.
"""

from __future__ import annotations

import os

USER_ROSTER = ".config/mosaic/fleet/roster.yaml"
"""In the home directory."""

SYSTEM_ROSTER = "/etc/fleetchatd/roster.yaml"
SYSTEM_SOCKET = "/run/fleetchatd/fleetchatd.sock"

JOURNAL = "journal.db"
"""The journal's file in the state directory."""


def roster_path(option: str | None = None) -> str:
    """The roster to load; a place that was named explicitly need not exist yet.

    Args:
        option: what `--roster` said.

    Raises:
        ConfigError: nothing was named and no roster is where one is looked for.
    """
    named = option or os.environ.get("FLEETCHATD_ROSTER")
    if named:
        return named
    places = [*in_home(USER_ROSTER), SYSTEM_ROSTER]
    for place in places:
        # A dangling link is a roster that cannot be read, not one that is absent.
        if os.path.lexists(place):
            return place

    from fleetchatd.errors import ConfigError  # the client never needs it

    tried = ", ".join(["--roster", "$FLEETCHATD_ROSTER", *places])
    raise ConfigError(
        f"cannot find a roster: tried {tried}; write one with `fleetchat init`, or name it with"
        " --roster"
    )


def socket_path(option: str | None = None) -> str:
    """Where the daemon listens unless systemd hands it a socket.

    Args:
        option: what `--socket` said.
    """
    return socket_candidates(option)[0]


def socket_candidates(option: str | None = None) -> list[str]:
    """Where a client finds the daemon, to be tried in turn: the user's before the system's.

    A socket that was named explicitly is the only candidate: a message must not reach another
    daemon because the one that was meant is down.

    Args:
        option: what `--socket` said.
    """
    named = option or os.environ.get("FLEETCHATD_SOCKET")
    if named:
        return [named]
    places = [f"{folder}/fleetchatd.sock" for folder in _systemd_folder("RUNTIME_DIRECTORY")]
    places += [f"{base}/fleetchatd/fleetchatd.sock" for base in _xdg_folder("XDG_RUNTIME_DIR")]
    return [*places, SYSTEM_SOCKET]


def state_dir(option: str | None = None) -> str:
    """The daemon's state directory (mode 0700; whoever makes it sees to that).

    Args:
        option: what `--state-dir` said.

    Raises:
        ConfigError: there is no home directory to fall back on.
    """
    places = [option] if option else []
    places += _systemd_folder("STATE_DIRECTORY")
    places += [f"{base}/fleetchatd" for base in _xdg_folder("XDG_STATE_HOME")]
    places += in_home(".local/state/fleetchatd")
    if places:
        return places[0]

    from fleetchatd.errors import ConfigError

    raise ConfigError("cannot find a state directory: no home directory; name one with --state-dir")


def _systemd_folder(variable: str) -> list[str]:
    """The first folder of such a variable: systemd joins several with colons."""
    first = os.environ.get(variable, "").split(":")[0]
    return [first] if first else []


def _xdg_folder(variable: str) -> list[str]:
    """XDG's specification has relative paths ignored."""
    folder = os.environ.get(variable, "")
    return [folder] if folder.startswith("/") else []


def in_home(path: str) -> list[str]:
    """`path` in the home directory; nothing where there is none."""
    home = os.environ.get("HOME") or _home_of_the_user()
    return [os.path.join(home, path)] if home.startswith("/") else []


def _home_of_the_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a number without a name
        return ""
