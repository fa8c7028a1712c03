"""The command line of `fleetchat`: one table of commands, and what every one of them shares."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

from fleetchatd import __version__
from fleetchatd.client import output
from fleetchatd.client.errors import ClientError

# Command -> module below fleetchatd, and what it does. The module has two functions for
# it: `NAME_arguments(parser)` and `NAME(args)`, which returns the exit code. It is imported only
# when its command is used.
COMMANDS = {
    "send": ("client.send", "send TEXT or standard input; prints the message's id"),
    "read": ("client.events", "print what is pending, then exit"),
    "subscribe": ("client.events", "follow what happens, one line an event"),
    "relay": ("client.relay", "submit what the operator writes into an agent's tmux pane"),
    "ack": ("client.subscribers", "acknowledge all events up to one"),
    "history": ("client.messages", "list messages, in both directions"),
    "show": ("client.messages", "show one sent message and its state"),
    "cancel": ("client.messages", "cancel a message that is still queued"),
    "retry": ("client.messages", "queue a failed message again"),
    "subscribers": ("client.subscribers", "list who is subscribed, and how far each one is"),
    "unsubscribe": ("client.subscribers", "forget a subscriber"),
    "health": ("client.health", "say how the daemon is; exits 0 ok, 1 degraded, 3 down"),
    "reload": ("client.reload", "have the daemon re-read its roster and secrets"),
    "console": ("client.console", "the operator's console, for a tmux pane"),
    "init": ("setup.init", "set up a connector: asks, verifies, and writes the roster"),
    "login": ("setup.login", "log in to a chat, and store the login for the daemon"),
    "logout": ("setup.login", "end the stored login, at the server and here"),
    "check": ("setup.check", "say what is set up here and what is wrong; opens no connection"),
    "doctor": ("setup.doctor", "check it all, live: the chat, the room, the daemon"),
    "homeserver": ("homeserver.command", "a private Matrix homeserver on this machine"),
    "completion": ("client.completion", "print a completion script for a shell"),
}

EXAMPLES = """\
examples:
  fleetchat send "The build is green."
  make 2>&1 | fleetchat send --plain
  fleetchat send --wait 10 --thread '$root' "Done."   (exit 1 if it cannot be delivered)
  fleetchat read --name orchestrator --wait 30
  fleetchat subscribe --name orchestrator --json
  fleetchat subscribe --name tickets --types message --exec ./file-a-ticket
  fleetchat health

exit codes:
  0 done; 1 refused or failed, with the reason on standard error; 2 usage;
  69 no daemon on the socket, or not allowed to open it
"""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help that is as wide as the terminal, asked in a cheap way.

    argparse makes a formatter for each option that it adds, and by default imports shutil, with all
    its compressors, to learn the width: 5 ms of the 20 that a whole `send` takes.
    """

    def __init__(self, prog: str) -> None:
        columns = os.environ.get("COLUMNS", "")
        super().__init__(prog, width=int(columns) - 2 if columns.isdecimal() else 98)


def build_parser(names: Iterable[str] = COMMANDS, *, bare: bool = False) -> argparse.ArgumentParser:
    """The parser for the commands in `names`; each one costs its start about half a millisecond.

    Args:
        names: of the commands.
        bare: leave out what the commands take, and with it all that their modules import.
    """
    parser = argparse.ArgumentParser(
        prog="fleetchat",
        description="Talk with the operator through fleetchatd, and look after it.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fleetchat {__version__}")
    _add_shared(parser, None, False)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", prog="fleetchat", required=True
    )
    for name in names:
        module, summary = COMMANDS[name]
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        # Suppressed, so that its absence here does not undo what stands before the command.
        _add_shared(command, argparse.SUPPRESS, argparse.SUPPRESS)
        if not bare:
            _function(module, f"{name}_arguments")(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code (contract §4)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        bare = not any(word in COMMANDS for word in arguments)  # `--help`, or a mistake
        args = build_parser(_wanted(arguments), bare=bare).parse_args(arguments)
        code = _function(COMMANDS[args.command][0], args.command)(args)
    except ClientError as error:
        if str(error):
            output.note(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    assert isinstance(code, int)
    return code


def _add_shared(parser: argparse.ArgumentParser, socket: str | None, json: bool | str) -> None:
    parser.add_argument("--socket", metavar="PATH", default=socket, help="the daemon's socket")
    parser.add_argument(
        "--json", action="store_true", default=json, help="print JSON, for programs"
    )


def _wanted(arguments: list[str]) -> Iterable[str]:
    """The one command that is called, or all where that is not plain to see."""
    words = iter(arguments)
    for word in words:
        if word == "--socket":
            next(words, None)
        elif not word.startswith("-"):
            return [word] if word in COMMANDS else COMMANDS
        elif word != "--json" and not word.startswith("--socket="):
            break
    return COMMANDS


def _function(module: str, name: str) -> Callable[..., object]:
    found: Callable[..., object]
    found = getattr(import_module(f"fleetchatd.{module}"), name.replace("-", "_"))
    return found


if __name__ == "__main__":
    sys.exit(main())
