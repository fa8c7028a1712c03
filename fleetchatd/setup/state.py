"""The state directory that logins are stored in: it should be the one where a daemon looks."""

from __future__ import annotations

from argparse import Namespace

from fleetchatd import places
from fleetchatd.client import output
from fleetchatd.setup.checks.running import Running, find_daemon
from fleetchatd.setup.context import may_be_written
from fleetchatd.setup.typed import Places

SYSTEM_STATE = "/var/lib/fleetchatd"
"""Of the system's service, by its unit."""


def state_dir_for(roster_path: str, args: Namespace) -> str:
    """What `--state-dir` named, or else where the daemon with that roster has it.

    Root's home knows nothing of the system's service. A person is told where a daemon would not
    find what is stored.

    Raises:
        ConfigError: nothing was named, and there is no home directory.
    """
    usual = places.state_dir(args.state_dir)
    daemon = find_daemon(args.socket)
    if not isinstance(daemon, Running):
        if not args.state_dir and roster_path == places.SYSTEM_ROSTER and usual != SYSTEM_STATE:
            _note("the system's service", SYSTEM_STATE, usual)
        return usual
    theirs = daemon.state_dir
    same = daemon.runs(roster_path)
    if theirs is None or daemon.keeps(usual) or (args.state_dir and not same):
        return usual
    if not args.state_dir and same and may_be_written(theirs):
        return theirs
    _note(f"the daemon on {daemon.socket}", theirs, usual)
    return usual


def reload_command(args: Namespace, state_dir: str) -> str | None:
    """What makes the daemon use a login that was stored there; None if none looks there."""
    daemon = find_daemon(args.socket)
    if not isinstance(daemon, Running) or not daemon.keeps(state_dir):
        return None
    return Places(socket=args.socket).typed("fleetchat reload")


def _note(who: str, theirs: str, ours: str) -> None:
    options = Places(state_dir=theirs).options(["state_dir"])
    output.note(
        f"{who} looks for its login in {theirs}, and not in {ours}; for that one, add{options}, as"
        " somebody who may write there"
    )
