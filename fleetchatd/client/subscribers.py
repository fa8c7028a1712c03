"""Durable subscribers: list them, move one's position, forget one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fleetchatd.client import output
from fleetchatd.client.arguments import add_name, sequence_number
from fleetchatd.client.errors import UsageError
from fleetchatd.client.http import Answer, Client, quote


def acknowledge(client: Client, name: str, seq: int) -> Answer:
    """Tell the daemon that `name` needs nothing up to `seq` any more; raises as `Client.ask`."""
    return client.ask("POST", f"/v1/subscribers/{quote(name)}/ack", {"seq": seq})


def ack_arguments(parser: ArgumentParser) -> None:
    """Declare what `ack` takes."""
    _add_name_anywhere(parser)
    parser.add_argument("seq", metavar="SEQ", type=sequence_number, help="the last event's number")


def ack(args: Namespace) -> int:
    """Acknowledge up to an event."""
    return _quiet(args, acknowledge(Client(args.socket), _name(args), args.seq))


def unsubscribe_arguments(parser: ArgumentParser) -> None:
    """Declare what `unsubscribe` takes."""
    _add_name_anywhere(parser)


def unsubscribe(args: Namespace) -> int:
    """Forget a subscriber and its position; its stream ends."""
    path = f"/v1/subscribers/{quote(_name(args))}"
    return _quiet(args, Client(args.socket).ask("DELETE", path))


def subscribers_arguments(parser: ArgumentParser) -> None:
    """`subscribers` takes nothing of its own."""


def subscribers(args: Namespace) -> int:
    """List the subscribers."""
    answer = Client(args.socket).ask("GET", "/v1/subscribers")
    if args.json:
        output.write_json(answer.text)
    else:
        from fleetchatd.client.looks import subscriber_table

        output.write(subscriber_table(answer.json()))
    return 0


def _add_name_anywhere(parser: ArgumentParser) -> None:
    """`--name NAME`, as `read` and `subscribe` have it, or just NAME."""
    parser.add_argument("name_here", metavar="NAME", nargs="?", help="the subscriber")
    add_name(parser, required=False)


def _name(args: Namespace) -> str:
    given = [name for name in (args.name, args.name_here) if name is not None]
    if len(given) != 1:
        raise UsageError("cannot tell which subscriber is meant; give its name once")
    return str(given[0])


def _quiet(args: Namespace, answer: Answer) -> int:
    if args.json and answer.text.strip():
        output.write_json(answer.text)
    return 0
