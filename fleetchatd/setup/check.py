"""`fleetchat check`: what is set up here, looked at without opening a connection."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fleetchatd import places
from fleetchatd.connectors.guide import Finding
from fleetchatd.errors import ConfigError, RosterError
from fleetchatd.roster import Roster, load_roster
from fleetchatd.setup.checks.configured import (
    look_at_connector,
    look_at_roster,
    look_at_secrets,
)
from fleetchatd.setup.checks.installed import look_at_programs, look_at_units
from fleetchatd.setup.checks.places import look_at_socket, look_at_state
from fleetchatd.setup.checks.running import Running
from fleetchatd.setup.findings import Report, guarded, of_error
from fleetchatd.setup.typed import Places


def check_arguments(parser: ArgumentParser) -> None:
    """Declare what `check` takes: the places, as the daemon takes them."""
    parser.add_argument("--roster", metavar="FILE", help="the fleet's roster")
    parser.add_argument("--state-dir", metavar="DIR", help="the daemon's state directory")


def check(args: Namespace) -> int:
    """Look, and tell; exits 1 with any error."""
    report = Report(as_json=args.json, places=Places(args.roster, args.state_dir, args.socket))
    report.add_all(offline(read_setup(args), None))
    return report.end()


@dataclass(frozen=True, slots=True)
class Setup:
    """What is set up here, each part either known or the reason why it is not.

    Attributes:
        roster_path: of the file; None where none was found.
        socket: the option; None leaves it to the usual places.
    """

    roster_path: str | None
    roster: Roster | ConfigError
    state_dir: str | ConfigError
    socket: str | None


def read_setup(args: Namespace) -> Setup:
    """Find the roster and the state directory as the daemon would, and read the roster."""
    roster_path = None
    roster: Roster | ConfigError
    state_dir: str | ConfigError
    try:
        roster_path = places.roster_path(args.roster)
        roster = load_roster(roster_path)
    except ConfigError as error:
        roster = error
    try:
        state_dir = places.state_dir(args.state_dir)
    except ConfigError as error:
        state_dir = error
    return Setup(roster_path, roster, state_dir, args.socket)


def offline(setup: Setup, daemon: Running | None) -> Iterator[Finding]:
    """All that can be said without a connection, what everything else depends on first.

    Args:
        setup: what to look at.
        daemon: that is known to be at work with it. systemd shows it more than it shows us.
    """
    yield from guarded("the programs", look_at_programs)
    yield from guarded("the roster", partial(_look_at_configured, setup, daemon))
    if isinstance(setup.state_dir, ConfigError):
        yield of_error(setup.state_dir, "the state directory")
    else:
        state_dir = Path(setup.state_dir).absolute()
        held = daemon is not None and daemon.keeps(setup.state_dir)
        yield from guarded("the state directory", partial(look_at_state, state_dir, held=held))
    yield from guarded("the socket", partial(look_at_socket, setup.socket))
    yield from guarded("the units", look_at_units)


def _look_at_configured(setup: Setup, daemon: Running | None) -> Iterator[Finding]:
    roster, state_dir = setup.roster, setup.state_dir
    if isinstance(roster, ConfigError) and not isinstance(roster, RosterError):
        yield of_error(roster, "the roster")
        return
    yield from look_at_roster(roster)
    if isinstance(roster, RosterError):
        return
    kind = roster.connector_kind
    yield from look_at_connector(kind)
    if not isinstance(state_dir, ConfigError):
        held = daemon is not None and daemon.connector.get("authenticated") is True
        yield from look_at_secrets(kind, state_dir, held=held)
