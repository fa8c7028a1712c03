"""What is printed above the prompt, as lines.

Only what the operator has submitted, and our own notes, begin at the first column. What others say
is indented by two, every line of it, so that it cannot pass for either.
"""

from __future__ import annotations

from datetime import datetime

from fleetchatd.client import output
from fleetchatd.client.console.look import Look, folded, shortened
from fleetchatd.client.console.pasted import Message
from fleetchatd.tmux.address import Address
from fleetchatd.tmux.spool import Names, Submission

INDENT = "  "
NARROWEST = 8

HELP = """\
Enter       sends; Ctrl-J too
Alt-Enter   a new line; a paste keeps its own
Up, Down    what was sent before; Ctrl-R looks for it
Ctrl-C      empties the line
Ctrl-D      twice on an empty line: leaves
/thread TAG what follows goes to that thread
/thread -   … to none; /thread says which
/quit       leaves; what arrives then waits
//          begins a message with a /"""


def own(submission: Submission, names: Names, look: Look) -> list[str]:
    """What the operator has submitted, behind its address."""
    where = Address(names.operator, names.orchestrator, submission.id, submission.thread_id)
    first, *others = output.text(submission.text).split("\n")
    return [look.dim(where.line("").rstrip()) + " " + first, *(INDENT + line for line in others)]


def said(message: Message, header: str, columns: int, look: Look) -> list[str]:
    """What somebody has said to the operator, below who and when.

    Args:
        message: what was said.
        header: its first line.
        columns: how wide the pane is.
        look: what may be used.
    """
    room = max(columns - len(INDENT), NARROWEST)
    text = output.text(message.text)
    if message.verbatim:
        found = folded(text, room)
    else:
        from fleetchatd.client.console import markdown  # 50 ms that no start has to wait for

        found = markdown.lines(text, room, look)
    return [header, *(INDENT + line if line else "" for line in found)]


def header(message: Message, now: datetime, last: datetime | None, columns: int, look: Look) -> str:
    """Who speaks and when, in one line; with the date if the last one was on another day."""
    dated = last is not None and last.date() != now.date()
    when = f"{now:%Y-%m-%d %H:%M}" if dated else f"{now:%H:%M}"
    half = max((columns - len(when) - 2) // 2, 2)
    speaker = shortened(output.line(message.speaker), half)
    tag = "" if message.tag is None else " " + shortened(output.line(f"#{message.tag}"), half)
    return f"{look.dim(when)} {look.bold(speaker)}{tag}"


def note(words: str, look: Look) -> list[str]:
    """Something that the console itself has to say."""
    first, *others = words.split("\n")
    return [look.dim(f"· {first}"), *(look.dim(INDENT + line) for line in others)]
