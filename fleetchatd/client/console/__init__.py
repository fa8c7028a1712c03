"""The operator's console: a line to type into, and above it what was said.

entered.py    what a line that was entered means
pasted.py     what a paste is: a message of the daemon's, one of another program's, or text
ledger.py     how far what was submitted has come
look.py       how things look: styles, widths, lines
markdown.py   Markdown as lines for a terminal
above.py      what is printed above the prompt
paper.py      the terminal: printing above the prompt, surviving a resize
prompt.py     the prompt and the line below it
console.py    what happens: on Enter, on a paste, when the daemon comes and goes
keys.py       which key does it
daemon.py     the daemon's marks, and whether it is there
pane.py       the pane we are in, and the badge it wears

Up to above.py all are functions of values. This file is imported to build the command line, so the
libraries come with `start` alone.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace


def console_arguments(parser: ArgumentParser) -> None:
    """Declare what `console` takes."""
    parser.add_argument(
        "--state-dir", metavar="DIR", help="the daemon's state directory, where both meet"
    )
    parser.epilog = """\
examples:
  tmux new-session -s operator fleetchat console

keys: Enter sends, Alt-Enter starts a new line, Up and Ctrl-R look through what was sent,
Ctrl-C empties the line, Ctrl-D twice leaves; /help shows the rest
"""


def console(args: Namespace) -> int:
    """Run the console until the operator leaves it."""
    from fleetchatd.client.console.start import run

    return run(args.state_dir)
