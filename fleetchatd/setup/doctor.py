"""`fleetchat doctor`: all of `check`, then the chat and the daemon, live."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from functools import partial

from fleetchatd.client.errors import ClientError
from fleetchatd.connectors import registry
from fleetchatd.connectors.guide import Finding, Guide
from fleetchatd.roster import Roster
from fleetchatd.setup.check import Setup, check_arguments, offline, read_setup
from fleetchatd.setup.checks.configured import missing_secrets
from fleetchatd.setup.checks.running import Running, find_daemon, look_at_daemon
from fleetchatd.setup.context import context_for, run
from fleetchatd.setup.findings import Report, guarded, guarded_live
from fleetchatd.setup.typed import Places


def doctor_arguments(parser: ArgumentParser) -> None:
    """Declare what `doctor` takes."""
    check_arguments(parser)
    parser.add_argument(
        "--round-trip",
        action="store_true",
        help="send one message, a test, and see that the chat takes it",
    )


def doctor(args: Namespace) -> int:
    """Look, ask, and tell; exits 1 with any error."""
    daemon = find_daemon(args.socket)
    if isinstance(daemon, Running):
        args = _beside(daemon, args)
    named = Places(args.roster, args.state_dir, args.socket)
    report = Report(as_json=args.json, places=named)
    run(_examine(read_setup(args), daemon, report, round_trip=args.round_trip))
    return report.end()


def _beside(daemon: Running, args: Namespace) -> Namespace:
    """What was not named is where the daemon that answers has it.

    Root's home knows nothing of the system's service.
    """
    args = Namespace(**vars(args))
    usual = read_setup(args)
    if usual.roster_path is None:
        args.roster = daemon.roster_path
    same = daemon.runs(usual.roster_path or daemon.roster_path)
    if not args.state_dir and same and not daemon.keeps(usual.state_dir):
        args.state_dir = daemon.state_dir
    return args


async def _examine(
    setup: Setup, daemon: Running | ClientError, report: Report, *, round_trip: bool
) -> None:
    ours = daemon if isinstance(daemon, Running) and daemon.runs(setup.roster_path) else None
    roster = setup.roster if isinstance(setup.roster, Roster) else None
    report.add_all(offline(setup, ours))
    async for finding in guarded_live("the chat", partial(_look_at_chat, setup)):
        report.add(finding)
    look = partial(look_at_daemon, daemon, roster, setup.state_dir, report)
    report.add_all(guarded("the daemon", look))
    if round_trip:
        sound = not report.has_errors
        async for finding in guarded_live("a message", partial(_send, setup, daemon, sound)):
            report.add(finding)


async def _look_at_chat(setup: Setup) -> AsyncIterator[Finding]:
    roster, state_dir = setup.roster, setup.state_dir
    if not isinstance(roster, Roster) or not isinstance(state_dir, str):
        return  # told already
    kind = roster.connector_kind
    guide = registry.guide(kind)
    if not isinstance(guide, Guide):
        yield Finding("ok", f"connector {kind}: it brings nothing that could look at its chat")
        return
    missing = missing_secrets(kind, state_dir)  # told already, too
    async for finding in guide.examine(roster.connector_settings, context_for(roster, state_dir)):
        if finding.level == "ok" or finding.about not in missing:
            yield finding


async def _send(setup: Setup, daemon: Running | ClientError, sound: bool) -> AsyncIterator[Finding]:
    """Send a message if everything is sound, else say that none was sent."""
    from fleetchatd.setup import round_trip  # it loads the whole daemon

    roster, state_dir = setup.roster, setup.state_dir
    if not sound or not isinstance(roster, Roster) or not isinstance(state_dir, str):
        remedy = "mend what stands above, and run it again"
        yield Finding("error", "round trip: nothing was sent", remedy)
    elif isinstance(daemon, Running):
        yield await round_trip.through_daemon(setup.socket)
    else:
        yield await round_trip.through_connector(roster, state_dir)
