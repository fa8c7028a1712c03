"""What people and programs are told once the homeserver is ready."""

from __future__ import annotations

import argparse
import json
import shlex

from fleetchatd.client import output
from fleetchatd.homeserver.accounts import ROOM_NAME
from fleetchatd.homeserver.record import Record


def tell(args: argparse.Namespace, record: Record, roster: str, orchestrator: str) -> None:
    """Say where the homeserver is, who the operator is there, and what comes next.

    Args:
        args: of `up`.
        record: of the homeserver, with its room.
        roster: the file that names it.
        orchestrator: its name there; on the homeserver it may have to be another.
    """
    if args.json:
        operator = {"user_id": record.operator.user_id, "password": record.operator.password}
        place = {"homeserver_url": record.base_url, "room_id": record.room_id}
        output.write_json(json.dumps({**place, "operator": operator}))
    else:
        output.write(_words(args, record, roster, orchestrator))


def _words(args: argparse.Namespace, record: Record, roster: str, orchestrator: str) -> str:
    return f"""\
A Matrix homeserver runs on this machine, for you and the orchestrator alone.

Sign in with Element Desktop; or with Chrome or Firefox, on this machine, at
https://app.element.io, which asks whether it may reach your local network:

  Homeserver   {record.base_url}   (Edit, beside the homeserver)
  Username     {record.operator.name}
  Password     {record.operator.password}

You are {record.operator.user_id} there, and in the room {ROOM_NAME} already.
The roster names it, too: {roster}

Start the daemon. In another terminal say something, wait for an answer, and
answer in Element:

  fleetchatd{_named(args, "roster", "state_dir")}
  fleetchat send 'Hello.'
  fleetchat read --name {orchestrator} --wait 300

A daemon that runs already wants `fleetchat reload`. To stop the homeserver:
`fleetchat homeserver down{_named(args, "state_dir")}`
"""


def _named(args: argparse.Namespace, *options: str) -> str:
    """Those places that were named on the command line: they must be named again."""
    named = [(name, getattr(args, name)) for name in options if getattr(args, name) is not None]
    return "".join(f" --{name.replace('_', '-')} {shlex.quote(value)}" for name, value in named)
