"""The user that the system's service runs as, and whether it can run the program at all."""

from __future__ import annotations

import grp
import pwd
import stat
import sys
from pathlib import Path

import fleetchatd
from fleetchatd.errors import FleetchatError
from fleetchatd.install_units.files import SYSUSERS, programs
from fleetchatd.install_units.manager import run_tool

USER = "fleetchatd"

_CLOSED = {Path(p) for p in ("/home", "/root", "/run/user", "/tmp", "/var/tmp")}  # noqa: S108
"""What ProtectHome= and PrivateTmp= hide from the service."""


def user_exists() -> bool:
    """Whether both are there, the user and the group."""
    try:
        pwd.getpwnam(USER)
        grp.getgrnam(USER)
    except KeyError:
        return False
    return True


def make_user() -> None:
    """Make both, from the file that has just been written."""
    run_tool(
        ["systemd-sysusers", str(SYSUSERS)],
        f"cannot make the user {USER}",
        f"make a system user and group {USER} with the home /var/lib/fleetchatd, and run it again",
    )


def check_that_it_can_run(dry_run: bool) -> None:
    """Say so now if the service's user may not get at the programs: systemd says just 203/EXEC.

    Raises:
        FleetchatError: it may not (a dry run goes on).
    """
    needed = (programs(), Path(sys.executable).resolve(), Path(fleetchatd.__file__))
    closed = [folder for file in needed for folder in file.parents if _is_closed(folder)]
    if not closed:
        return
    sentence = (
        f"cannot run {needed[0]}/fleetchatd as the user {USER}: {closed[0]} is closed to it; "
        "install fleetchatd for all users, under /opt for example, or its units with --user"
    )
    if not dry_run:
        raise FleetchatError(sentence)
    print(f"fleetchatd: {sentence}", file=sys.stderr)


def _is_closed(folder: Path) -> bool:
    return folder in _CLOSED or not folder.stat().st_mode & stat.S_IXOTH
