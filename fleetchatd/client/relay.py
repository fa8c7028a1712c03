"""`fleetchat relay`: what the operator writes, submitted into an agent's tmux pane.

It is a durable subscriber that acknowledges a message once its submission is verified. Otherwise
the message stays pending, and the same one is tried again after pauses that grow.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from fleetchatd.client.arguments import add_name
from fleetchatd.client.events import add_class, add_following
from fleetchatd.tmux.targets import Target

SOCKET_NAME = "mosaic-fleet"
"""The fleet's own tmux server, as a roster without `tmux.socket_name` has it."""


def relay_arguments(parser: ArgumentParser) -> None:
    """Declare what `relay` takes."""
    add_name(parser)
    parser.add_argument(
        "--pane",
        metavar="TARGET",
        type=_target,
        required=True,
        help="the agent's pane: %%N, or =SESSION, =SESSION:WINDOW.PANE; names are matched exactly",
    )
    parser.add_argument(
        "--socket-name",
        metavar="S",
        type=_socket_name,
        default=SOCKET_NAME,
        help=f"the tmux server, as in `tmux -L S`, or its socket's path (default: {SOCKET_NAME})",
    )
    add_class(parser)
    add_following(parser)
    parser.set_defaults(types="message", no_ack=False)


def relay(args: Namespace) -> int:
    """Submit what is said, until interrupted; survives restarts of the daemon, tmux and agent."""
    from fleetchatd.client.follow import follow
    from fleetchatd.client.submitter import Submitter
    from fleetchatd.tmux.server import Server

    follow(args, Submitter(Server(args.socket_name), args.pane).deliver)
    return 0


def _target(word: str) -> Target:
    try:
        return Target.parse(word)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _socket_name(word: str) -> str:
    if not word:
        raise ArgumentTypeError("it is empty; name the server, or leave the option out")
    return word
