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
    report = Report(as_json=args.json)
    run(_examine(read_setup(args), report, round_trip=args.round_trip))
    return report.end()


async def _examine(setup: Setup, report: Report, *, round_trip: bool) -> None:
    daemon = find_daemon(setup.socket)
    roster = setup.roster if isinstance(setup.roster, Roster) else None
    held = (
        isinstance(daemon, Running)
        and roster is not None
        and daemon.runs(roster)
        and daemon.connector.get("authenticated") is True
    )
    report.add_all(offline(setup, held=held))
    async for finding in guarded_live("the chat", partial(_look_at_chat, setup)):
        report.add(finding)
    report.add_all(guarded("the daemon", partial(look_at_daemon, daemon, roster)))
    if round_trip:
        sound = not report.has_errors
        async for finding in guarded_live("a message", partial(_send, setup, daemon, sound)):
            report.add(finding)


async def _look_at_chat(setup: Setup) -> AsyncIterator[Finding]:
    roster, state_dir = setup.roster, setup.state_dir
    if not isinstance(roster, Roster) or not isinstance(state_dir, str):
        return  # told already
    kind = roster.connector_kind
    guide = getattr(registry.connector_class(kind), "guide", None)
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
        yield round_trip.through_daemon(setup.socket)
    else:
        yield await round_trip.through_connector(roster, state_dir)
