"""What the command does with each file, one after another."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fleetchatd.errors import FleetchatError
from fleetchatd.install_units import files, manager
from fleetchatd.install_units.service_user import (
    USER,
    check_that_it_can_run,
    make_user,
    user_exists,
)
from fleetchatd.install_units.told import say


def run(*, user: bool, uninstall: bool, dry_run: bool) -> int:
    """Install or remove the units of the system, or of the user who runs this; gives the exit code.

    Raises:
        FleetchatError: it cannot be done; what was done before stays, and it may be run again.
    """
    try:
        (_uninstall if uninstall else _install)(user, dry_run)
    except OSError as error:
        raise FleetchatError(
            f"cannot change {error.filename}: {error.strerror}; {_remedy(user)}"
        ) from error
    return 0


def _remedy(user: bool) -> str:
    if user or os.geteuid() == 0:
        return "see whose it is, and whether it may be written"
    return "run it as root, or install a user's with --user"


def _install(user: bool, dry_run: bool) -> None:
    if not user:
        check_that_it_can_run(dry_run)
    for path, text in files.wanted(user):
        standing = files.standing_of(path, text)
        if standing == "current":
            say(f"{path} is as it should be")
        elif standing == "by hand":
            _leave_alone(path, "remove it to get the present one, and use drop-ins")
        else:
            _do(dry_run, f"write {path}", partial(files.write, path, text))
        if path == files.SYSUSERS and not user_exists():
            _do(dry_run, f"make user and group {USER}", make_user)
    _do(dry_run, f"reload {manager.name_of(user)}", partial(manager.reload, user))


def _uninstall(user: bool, dry_run: bool) -> None:
    for path, text in files.wanted(user):
        standing = files.standing_of(path, text)
        if standing == "absent":
            continue
        if standing == "by hand":
            _leave_alone(path, "remove it yourself if nobody needs it")
            continue
        if path != files.SYSUSERS:
            _do(dry_run, f"disable {path.name}", partial(manager.disable, user, path.name))
        _do(dry_run, f"remove {path}", path.unlink)
    _do(dry_run, f"reload {manager.name_of(user)}", partial(manager.reload, user))
    if not user and user_exists():
        say(f"the user {USER} stays, and with it the journal in /var/lib/fleetchatd")


def _do(dry_run: bool, what: str, step: Callable[[], object]) -> None:
    say(f"would {what}" if dry_run else what)
    if not dry_run:
        step()


def _leave_alone(path: Path, remedy: str) -> None:
    print(f"fleetchatd: {path} was changed by hand and is left alone; {remedy}", file=sys.stderr)
