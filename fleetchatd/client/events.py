"""Events for a durable subscriber: `read` what is pending, or `subscribe` and follow.

What is acknowledged was written out and flushed before (contract §4); what was not, comes again.
Acknowledgements go out in batches: one for what arrived together, at most `BATCH` events.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from functools import partial

from fleetchatd.client import output
from fleetchatd.client.arguments import add_name, count, seconds
from fleetchatd.client.connection import PATIENCE_S
from fleetchatd.client.errors import ClientError, ConnectionBrokenError, NoDaemonError, RefusedError
from fleetchatd.client.http import Client, Stream, parse_object, query
from fleetchatd.client.subscribers import acknowledge

TYPES = "message,edit,redaction,reaction,gap"
"""What is shown unless `--types` asks for more: an agent's own sending must not wake it (§4)."""

BATCH = 100
BUSY_S = 1.5
"""A name is free within 1 s of its client's end (§3), so "busy" may be our own predecessor."""

WAIT_LIMIT_S = 60.0


class Event:
    """A line of the stream: as the daemon wrote it, and what it says."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.fields = parse_object(source)

    @property
    def seq(self) -> int:
        """Its sequence number.

        Raises:
            ConnectionBrokenError: it has none.
        """
        seq = self.fields.get("seq")
        if not isinstance(seq, int):
            raise ConnectionBrokenError("cannot understand an event of the daemon: it has no seq")
        return seq


def batches(stream: Stream, patience_s: float | None = None) -> Iterator[list[Event]]:
    """The events of a stream, in batches of those that are here.

    Raises:
        ClientError: another client took the name over; what came before is yielded first.
    """
    for lines in stream.batches(patience_s):
        events = [Event(source) for source in lines]
        superseded = events[-1].fields.get("type") == "superseded"
        if superseded:
            events.pop()
        for start in range(0, len(events), BATCH):
            yield events[start : start + BATCH]
        if superseded:
            raise ClientError("superseded: another client has taken this name over")


def open_stream(client: Client, args: Namespace, patience_s: float, **more: object) -> Stream:
    """Ask for the subscriber's events; a name that is just being freed is waited for."""
    types = TYPES if args.types is None else args.types
    path = "/v1/events" + query(subscriber=args.name, types=types, class_=args.event_class, **more)
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            return client.open("GET", path, patience_s=patience_s)
        except RefusedError as error:
            if error.kind != "subscriber-busy":
                raise
            if time.monotonic() > deadline:
                raise ClientError(
                    f"cannot read as {args.name}: {error}; use another --name, end that reader,"
                    " or take its place with `fleetchat subscribe --takeover`"
                ) from None
        time.sleep(0.1)


def write_out(events: list[Event], as_json: bool) -> None:
    """Write events to standard output; once it returns they are out. Raises as `output.write`."""
    if as_json:
        output.write_json(*(event.source for event in events))
        return
    from fleetchatd.client.looks import event_line

    output.write("".join(event_line(event.fields) for event in events))


def read_arguments(parser: ArgumentParser) -> None:
    """Declare what `read` takes."""
    _add_filter(parser)
    parser.add_argument("--wait", metavar="S", type=seconds, help="wait up to S s for the first")
    parser.add_argument("--limit", metavar="N", type=count, help="at most N events")
    parser.add_argument("--no-ack", action="store_true", help="leave them pending")


def read(args: Namespace) -> int:
    """Print what is pending, acknowledge it, and end."""
    client = Client(args.socket)
    deadline = time.monotonic() + (args.wait or 0.0)
    while True:
        asked = time.monotonic()
        if _read_pending(client, args, min(max(0.0, deadline - asked), WAIT_LIMIT_S)):
            return 0
        if time.monotonic() >= deadline:
            return 0
        # A daemon that ends at once although asked to wait must not be asked in a busy loop.
        time.sleep(max(0.0, min(asked + 1.0, deadline) - time.monotonic()))


def _read_pending(client: Client, args: Namespace, wait_s: float) -> int:
    """Deliver what one request brings, at most `--limit`; returns how many events."""
    patience_s = PATIENCE_S + wait_s
    wait = f"{wait_s:.3f}" if wait_s else None
    done = 0
    with open_stream(client, args, patience_s, follow="false", wait_s=wait) as stream:
        for events in batches(stream, patience_s):
            wanted = events if args.limit is None else events[: args.limit - done]
            write_out(wanted, args.json)
            if not args.no_ack:
                _acknowledge_shown(client, args.name, wanted[-1].seq)
            done += len(wanted)
            if done == args.limit:
                break
    return done


def _acknowledge_shown(client: Client, name: str, seq: int) -> None:
    try:
        acknowledge(client, name, seq)
    except (ConnectionBrokenError, NoDaemonError) as error:
        raise ClientError(
            f"cannot acknowledge what was printed, so it will come again: {error}"
        ) from None


def subscribe_arguments(parser: ArgumentParser) -> None:
    """Declare what `subscribe` takes."""
    _add_filter(parser)
    add_following(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--no-ack", action="store_true", help="leave the events pending")
    how.add_argument(
        "--exec",
        metavar="CMD",
        dest="shell_command",
        help="run CMD with each event on standard input; acknowledge after exit 0, else try again",
    )


def subscribe(args: Namespace) -> int:
    """Follow until interrupted; survives restarts of the daemon."""
    from fleetchatd.client.follow import follow  # `read` needs none of it

    follow(args, partial(_print if args.shell_command is None else _execute, args))
    return 0


def _print(args: Namespace, events: list[Event]) -> Iterator[Event]:
    write_out(events, args.json)
    yield events[-1]


def _execute(args: Namespace, events: list[Event]) -> Iterator[Event]:
    from fleetchatd.client.execute import run_command

    for event in events:
        run_command(args.shell_command, event.source)
        yield event


def add_following(parser: ArgumentParser) -> None:
    """How a durable subscriber begins."""
    parser.add_argument(
        "--from", dest="start", choices=["start"], help="a new name begins at the oldest event"
    )
    parser.add_argument(
        "--takeover", action="store_true", help="end the stream that another client has"
    )


def add_class(parser: ArgumentParser) -> None:
    """Which messages are wanted."""
    parser.add_argument(
        "--class", metavar="C,C", dest="event_class", help="of messages, only these classes"
    )


def _add_filter(parser: ArgumentParser) -> None:
    add_name(parser)
    parser.add_argument(
        "--types", metavar="T,T", help=f"only these types of events (default: {TYPES})"
    )
    add_class(parser)
