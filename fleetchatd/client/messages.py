"""Messages after they were sent: show, cancel, retry; and the history of both directions."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fleetchatd.client import output
from fleetchatd.client.arguments import count
from fleetchatd.client.http import Answer, Client, query, quote
from fleetchatd.client.looks import history_lines, message_page


def show_arguments(parser: ArgumentParser) -> None:
    """Declare what `show` takes."""
    _add_id(parser)


def show(args: Namespace) -> int:
    """Print a sent message and its state."""
    answer = Client(args.socket).ask("GET", f"/v1/messages/{quote(args.id)}")
    if args.json:
        output.write_json(answer.text)
    else:
        output.write(message_page(answer.json()))
    return 0


def cancel_arguments(parser: ArgumentParser) -> None:
    """Declare what `cancel` takes."""
    _add_id(parser)


def cancel(args: Namespace) -> int:
    """Cancel a queued message."""
    return _done(args, Client(args.socket).ask("DELETE", f"/v1/messages/{quote(args.id)}"))


def retry_arguments(parser: ArgumentParser) -> None:
    """Declare what `retry` takes."""
    _add_id(parser)


def retry(args: Namespace) -> int:
    """Queue a failed message again."""
    return _done(args, Client(args.socket).ask("POST", f"/v1/messages/{quote(args.id)}/retry"))


def history_arguments(parser: ArgumentParser) -> None:
    """Declare what `history` takes."""
    parser.add_argument("--limit", metavar="N", type=count, help="at most N messages")
    parser.add_argument("--before", metavar="ID", help="those before this one")
    parser.add_argument("--thread", metavar="ID", help="those of this thread")
    parser.add_argument("--direction", choices=["in", "out"], help="from the operator, or to them")


def history(args: Namespace) -> int:
    """List messages: for a person the newest last, where the eye is."""
    wanted = query(
        limit=args.limit, before=args.before, thread_id=args.thread, direction=args.direction
    )
    answer = Client(args.socket).ask("GET", f"/v1/messages{wanted}")
    if args.json:
        output.write_json(answer.text)
    else:
        output.write(history_lines(answer.json()))
    return 0


def _add_id(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the id that `send` printed")


def _done(args: Namespace, answer: Answer) -> int:
    """Answer like `send`: with the message's id."""
    if args.json:
        output.write_json(answer.text)
    else:
        output.write(output.line(args.id) + "\n")
    return 0
