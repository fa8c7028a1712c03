"""The daemon's command line."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fleetchatd import __version__, logs, places, systemd
from fleetchatd.errors import (
    AlreadyRunningError,
    ConfigError,
    ConnectorNotImplementedError,
    FleetchatError,
    RosterError,
)

EX_CONFIG = 78
EX_TEMPFAIL = 75

MIN_KEEP_DAYS = 30
SWITCH_INTERVAL_S = 0.0005
"""How soon the thread that waits for the disk gets to say that it is done, in seconds."""

COLLECT_AFTER = 10_000
"""How many objects are made before reference cycles are looked for; few of ours are in one."""

OPEN_FILES = 65536
"""Descriptors to have where the hard limit allows it; the usual soft limit is 1,024 readers."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon, or check what it would run; gives the exit code."""
    try:
        return _main(_parser().parse_args(arguments))
    finally:
        logs.give_up_what_cannot_be_written()


def _main(options: argparse.Namespace) -> int:
    logs.configure(options.log_format, options.log_level)
    try:
        if options.command is not None:
            return _install_units(options)
        if options.check:
            return _check(options)
        with _signals_before_the_loop_has_them():
            return _run(options)
    except (ConfigError, ConnectorNotImplementedError) as error:
        return _refuse(error, EX_CONFIG, options.log_format)
    except AlreadyRunningError as error:
        return _refuse(error, EX_TEMPFAIL, options.log_format)
    except FleetchatError as error:
        return _refuse(error, 1, options.log_format)
    except Exception:
        logs.broke()
        systemd.turn_away("fleetchatd broke; see its log")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleetchatd",
        description="Carries the conversation between a fleet's orchestrator and its operator.",
        epilog="Where things are found without options: see docs/reference/fleetchatd.md.",
    )
    parser.add_argument("--roster", metavar="FILE", help="the fleet's roster")
    parser.add_argument("--socket", metavar="PATH", help="the Unix socket to listen on")
    parser.add_argument(
        "--socket-group", metavar="GROUP", help="let this group use the socket, too (mode 0660)"
    )
    parser.add_argument("--state-dir", metavar="DIR", help="where the journal is kept")
    parser.add_argument(
        "--log-format",
        choices=logs.FORMATS,
        default="auto",
        help="auto: for systemd's journal under systemd, in colours on a terminal, else json",
    )
    parser.add_argument(
        "--log-level",
        choices=logs.LEVELS,
        default="info",
        help="the least that is logged (default info); debug shows what people say",
    )
    parser.add_argument(
        "--keep-days",
        metavar="N",
        type=_keep_days,
        default=90,
        help="keep what every subscriber has acknowledged so many days (default 90, at least 30)",
    )
    parser.add_argument(
        "--check", action="store_true", help="check roster and secrets, print what would run, exit"
    )
    parser.add_argument("--version", action="version", version=f"fleetchatd {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="", title="in place of the daemon", prog="fleetchatd"
    )
    _add_install_units(commands.add_parser("install-units", help="put systemd's units in place"))
    return parser


def _add_install_units(parser: argparse.ArgumentParser) -> None:
    parser.description = "Put systemd's units in place; starts and enables nothing."
    parser.add_argument("--user", action="store_true", help="for this user (systemctl --user)")
    parser.add_argument("--uninstall", action="store_true", help="remove them")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def _keep_days(text: str) -> int:
    if not text.isdecimal() or not MIN_KEEP_DAYS <= int(text) <= 36500:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least {MIN_KEEP_DAYS}")
    return int(text)


def _check(options: argparse.Namespace) -> int:
    from fleetchatd.check import describe
    from fleetchatd.roster import load_roster

    roster = load_roster(places.roster_path(options.roster))
    try:
        print(describe(roster, places.state_dir(options.state_dir)), flush=True)
    except BrokenPipeError:  # who reads it has seen enough
        return 0
    except OSError as error:
        raise FleetchatError(
            f"cannot write what would run to standard output: {error.strerror}; make room there"
        ) from None
    return 0


def _install_units(options: argparse.Namespace) -> int:
    from fleetchatd import install_units

    return install_units.run(
        user=options.user, uninstall=options.uninstall, dry_run=options.dry_run
    )


@contextmanager
def _signals_before_the_loop_has_them() -> Iterator[None]:
    """A stop ends the process as asked, for nothing has begun; a reload is what happens anyway."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, answer in before.items():
            signal.signal(number, answer)


def _run(options: argparse.Namespace) -> int:
    gc.set_threshold(COLLECT_AFTER)
    from fleetchatd.daemon import Daemon, Options

    faulthandler.enable()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    _raise_file_limit()
    resolved = Options(
        roster_path=os.path.abspath(places.roster_path(options.roster)),
        socket_path=places.socket_path(options.socket),
        state_dir=places.state_dir(options.state_dir),
        keep_days=options.keep_days,
        socket_group=options.socket_group,
    )

    async def run() -> None:
        await Daemon(resolved).run()

    try:
        asyncio.run(run())
    except BaseExceptionGroup as group:  # not except*, which would wrap what is raised once more
        raise _expected(group) or group from None
    return 0


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _expected(group: BaseExceptionGroup[BaseException]) -> FleetchatError | None:
    """The first error in a group of tasks that has an exit code of its own, if there is one."""
    for error in group.exceptions:
        found = _expected(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, FleetchatError):
            return found
    return None


def _refuse(error: FleetchatError, code: int, log_format: logs.LogFormat) -> int:
    """Say why it cannot run: a line a problem, or a record a problem where records go."""
    problems = error.problems if isinstance(error, RosterError) else [str(error)]
    if log_format in ("json", "journal") or (log_format == "auto" and logs.stderr_is_journal()):
        for problem in problems:
            logs.last_words(problem, log_format)
    else:
        for problem in problems:
            logs.say(f"fleetchatd: {problem}" if code != EX_CONFIG else problem)
    systemd.turn_away(str(error))
    return code


if __name__ == "__main__":
    sys.exit(main())
