"""What a bracketed paste is.

The daemon pastes a message as an address line with an id; other programs of the fleet paste one
without, and press Enter behind it; and a person pastes whatever it may be.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleetchatd.tmux import address
from fleetchatd.tmux.spool import is_message_id

LINE_BREAK = "\x1e"
"""How the daemon writes a line break: a shell that reads it by mistake executes nothing."""


@dataclass(frozen=True, slots=True)
class Message:
    """Something that was said to the operator.

    Attributes:
        id: what it is confirmed by; None if another program than the daemon pasted it.
        speaker: the session that speaks.
        tag: the thread, or None.
        verbatim: whether it is output of some program rather than words.
    """

    id: str | None
    speaker: str
    text: str
    tag: str | None = None
    verbatim: bool = False


def message(pasted: str, operator: str | None) -> Message | None:
    """The message in a paste; None if it is none for this operator.

    Args:
        pasted: what stood between the brackets.
        operator: the operator's `host:session`; None if no daemon has told yet: then it is anybody.
    """
    found = address.parse(pasted)
    if found is None:
        return None
    where, text = found
    if operator is not None and session(where.destination) != session(operator):
        return None
    return Message(
        id=where.id if where.id is not None and is_message_id(where.id) else None,
        speaker=session(where.source),
        text=address.clean(text.replace(LINE_BREAK, "\n")).rstrip("\n"),
        tag=where.tag,
        verbatim=where.event_class == "terminal-log",
    )


def session(name: str) -> str:
    """The session of `host:session`. A host has more than one name, so it is not compared."""
    return name.rpartition(":")[2]
