"""systemd's own programs: the manager is told of changed units, and links are taken away."""

from __future__ import annotations

import os
import shutil
import subprocess

from fleetchatd.errors import FleetchatError
from fleetchatd.install_units.told import say


def name_of(user: bool) -> str:
    """What people call it."""
    return "the user's service manager" if user else "the service manager"


def reload(user: bool) -> None:
    """Have it read the units anew, if it runs."""
    if _is_running(user):
        run_tool(
            [*_systemctl(user), "daemon-reload"],
            f"cannot reload {name_of(user)}",
            _remedy(user),
        )
    else:
        say(f"{name_of(user)} is not running: nothing to reload")


def disable(user: bool, unit: str) -> None:
    """Take the links to a unit away; one that runs goes on until it is stopped."""
    if shutil.which("systemctl"):
        run_tool(
            [*_systemctl(user), "--quiet", "disable", unit],
            f"cannot disable {unit}",
            _remedy(user),
        )


def _remedy(user: bool) -> str:
    return "run it again once that works" if user or os.geteuid() == 0 else "run it as root"


def _is_running(user: bool) -> bool:
    folder = f"/run/user/{os.getuid()}/systemd" if user else "/run/systemd"
    return os.path.exists(f"{folder}/private")  # False, too, where it may not be looked at


def _systemctl(user: bool) -> list[str]:
    if user:  # not set where somebody became this user with sudo
        os.environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    if not _is_running(user):  # systemctl then changes the files by itself
        os.environ["SYSTEMD_OFFLINE"] = "1"
    return ["systemctl", "--user"] if user else ["systemctl"]


def run_tool(command: list[str], failure: str, remedy: str) -> None:
    """Run one of systemd's programs.

    Raises:
        FleetchatError: it failed, or is not there: `failure`, why, and `remedy`.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        reason = (done.stderr.strip() or f"exit {done.returncode}") if done.returncode else ""
    except FileNotFoundError:
        reason = f"there is no {command[0]}"
    if reason:
        raise FleetchatError(f"{failure}: {reason}; {remedy}")
