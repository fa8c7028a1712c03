"""`fleetchat homeserver`: Matrix on a machine that has none, in one command (contract §8)."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleetchatd import places
from fleetchatd.client import output
from fleetchatd.connectors.matrix.account import TOKEN_NAME
from fleetchatd.errors import FleetchatError
from fleetchatd.homeserver import accounts, config, earlier, install, ports, process, telling
from fleetchatd.homeserver import record as records
from fleetchatd.homeserver.private import locked, make_folder
from fleetchatd.homeserver.record import Record
from fleetchatd.roster import ORCHESTRATOR
from fleetchatd.secrets import store_login
from fleetchatd.setup import present
from fleetchatd.setup.afterwards import note_what_outranks
from fleetchatd.setup.context import refusals, refuse_unwritable
from fleetchatd.setup.editing import change
from fleetchatd.setup.present import Present

KIND = "matrix"
_FOLDER = "homeserver"
_TRIES = 5


def homeserver_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `up` and `down`."""
    commands = parser.add_subparsers(
        dest="action", metavar="up|down", prog="fleetchat homeserver", required=True
    )
    up = commands.add_parser("up", help="start it; the first time, make all that it needs")
    up.add_argument("--roster", metavar="FILE", help="the roster to fill in; made if missing")
    up.add_argument("--force", action="store_true", help="replace another homeserver in the roster")
    up.add_argument(
        "--python",
        metavar="PROGRAM",
        help=f"a Python that has Synapse (${install.PYTHON_VARIABLE}); else it is installed",
    )
    down = commands.add_parser("down", help="stop it; all that was said is kept")
    for command in (up, down):
        command.add_argument("--state-dir", metavar="DIR", help="the daemon's state directory")
        command.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="for programs"
        )


def homeserver(args: argparse.Namespace) -> int:
    """Start the homeserver, or stop it."""
    act, doing = (_up, "start") if args.action == "up" else (_down, "stop")
    with refusals():
        state_dir = Path(places.state_dir(args.state_dir)).absolute()
        try:
            return act(args, state_dir)
        except OSError as error:
            raise FleetchatError(
                f"cannot {doing} the homeserver: {error.filename or state_dir}: {error.strerror};"
                " see whose it is, whether it may be written, and whether there is room"
            ) from error


def _up(args: argparse.Namespace, state_dir: Path) -> int:
    folder = state_dir / _FOLDER
    path = present.find(args.roster)
    _refuse_another(path, folder, force=args.force)  # before anything is made
    make_folder(state_dir)
    _refuse_somebody_elses(state_dir)
    make_folder(folder)
    with locked(folder / "command.lock", output.note):
        # Whoever held the lock may have filled in the roster.
        roster = _refuse_another(path, folder, force=args.force)
        record = records.load(folder) or records.new(_orchestrator(roster))
        record = _running(record, folder, args.python)
        record, secret = asyncio.run(accounts.furnish(record, folder, state_dir))
        asyncio.run(earlier.end(state_dir, secret))
        store_login(TOKEN_NAME, state_dir, secret)
        change.write(change.plan(path, KIND, _settings(record, roster)))
    telling.tell(args, record, path, _orchestrator(roster))
    note_what_outranks(TOKEN_NAME, state_dir, secret)
    return 0


def _down(args: argparse.Namespace, state_dir: Path) -> int:
    folder = state_dir / _FOLDER
    stopped = False
    if folder.is_dir():
        with locked(folder / "command.lock", output.note):
            stopped = process.stop(folder)
    if args.json:
        output.write_json(json.dumps({"stopped": stopped}))
    else:
        kept = f"; what was said is kept in {folder}"
        output.write(f"The homeserver {'has stopped' + kept if stopped else 'was not running'}.\n")
    return 0


def _refuse_somebody_elses(state_dir: Path) -> None:
    """Root, too: its files there would lock their owner out, and the server would run as root."""
    if state_dir.stat().st_uid != os.geteuid():
        raise FleetchatError(
            f"cannot start the homeserver: {state_dir} is not yours; do it as the user whose it is,"
            " or name another with --state-dir"
        )


# -- the roster ----------------------------------------------------------------------------------


def _refuse_another(path: str, folder: Path, *, force: bool) -> Present:
    """The roster as it is, unless it means another homeserver than ours.

    Raises:
        FleetchatError: it does, or it cannot be read.
        ClientError: it has to be written, and cannot be.
    """
    roster = present.read(path)
    record = records.load(folder)  # after the roster, which is written last
    block = roster.blocks.get(KIND)
    if block and not force and not _means(block, record):
        raise FleetchatError(
            f"cannot fill in {path}: its matrix block names another homeserver, user or room; name"
            " another file with --roster, or have it replaced with --force (a backup is kept)"
        )
    if not (block and _means(block, record)):
        refuse_unwritable(path)
    return roster


def _means(block: Mapping[str, Any], record: Record | None) -> bool:
    if record is None or record.room_id is None:
        return False
    return record.settings.items() <= block.items()


def _settings(record: Record, roster: Present) -> dict[str, Any]:
    """What the roster is to say. Who might speak on another homeserver is nobody on this one."""
    block = roster.blocks.get(KIND, {})
    if "allowed_senders" not in block or _means(block, record):
        return dict(record.settings)
    return {**record.settings, "allowed_senders": [record.operator.user_id]}


def _orchestrator(roster: Present) -> str:
    return roster.fleet.orchestrator.name if roster.fleet else ORCHESTRATOR


# -- the server ----------------------------------------------------------------------------------


def _running(record: Record, folder: Path, python: str | None) -> Record:
    """See that the homeserver runs; the record has its port."""
    pid = process.running(folder)
    if pid is not None:
        process.wait_listening(folder, pid, record.port)
        return record
    program = install.synapse_python(python, output.note)
    output.note("starting the homeserver …")
    for tries_left in reversed(range(_TRIES)):
        record = _with_port(record, folder)
        values = config.settings(folder, record.port, record.registration_secret)
        try:
            process.start(folder, program, config.write(folder, values), record.port)
            break
        except FleetchatError:
            # Between our look at the port and Synapse's, another program may have taken it.
            taken = not ports.is_free(record.port)
            if record.room_id is not None or not taken or not tries_left:
                raise
    return record


def _with_port(record: Record, folder: Path) -> Record:
    """A port that is free now, on disk; once there is a room, rosters and clients know it.

    Raises:
        FleetchatError: they do, and another program has it.
    """
    if ports.is_free(record.port):
        record.save(folder)
        return record
    if record.room_id is None:
        return record.changed(folder, port=ports.any_free())
    raise FleetchatError(
        f"cannot start the homeserver: another program has its port, {record.port} on"
        f" {config.ADDRESS}; find it with `ss -ltnp 'sport = :{record.port}'`, stop it, and run"
        " this again"
    )
