"""Every step of both flows at which a daemon may die on Matrix, and what must be seen afterwards.

test_kill_points.py dies at each of them; tools/guarantees_table.py writes the table of
docs/explanation/guarantees.md from them, so that it says what those tests have shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.harness.daemon import Death

_MESSAGES = "fleetchatd.api.messages:send"
_OUTBOUND = "fleetchatd.journal.sqlite.outbound:Outbound"
_SUBSCRIBERS = "fleetchatd.journal.sqlite.subscribers:Subscribers"
_CONNECTOR = "fleetchatd.connectors.matrix.connector:MatrixConnector"
_WRITE = "aiohttp.web_response:StreamResponse.write"


@dataclass(frozen=True)
class OutPoint:
    """A step of `client → journal → chat`.

    Attributes:
        moment: the step, for people.
        place: where the daemon kills itself, or what the server holds as it is killed.
        answered: whether the client had its `202`.
        kept: whether the message is in the journal.
        in_room: how many of its parts people had seen by then.
        parts: of how many.
        ends: how it ends if not `delivered`.
    """

    moment: str
    place: Death | Literal["held before", "held after"]
    answered: bool
    kept: bool
    in_room: int = 0
    parts: int = 1
    queued_behind: bool = False
    refused: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        end = "`failed`, with the server's reason" if self.refused else "in the room, once"
        by_itself = end if self.kept else "nothing: it was never accepted"
        repeated = "the same message" if self.kept else end
        seen = "nothing"
        if self.in_room:
            seen = "the message" if self.parts == 1 else f"{self.in_room} part of {self.parts}"
        return (
            self.moment,
            "yes" if self.answered else "no",
            seen,
            by_itself,
            repeated,
        )


OUT_HEAD = (
    "Killed …",
    "client had its 202",
    "people had seen",
    "after the restart",
    "the client repeats it under its key",
)

OUT: tuple[OutPoint, ...] = (
    OutPoint("as the request arrives", Death("before", _MESSAGES), False, False),
    OutPoint("before the commit", Death("after", f"{_OUTBOUND}.accept"), False, False),
    OutPoint(
        "after the commit, before the answer",
        Death("before", "fleetchatd.outbox:Outbox._taken_in"),
        False,
        True,
    ),
    OutPoint("as the send begins", Death("before", f"{_CONNECTOR}.send"), False, True),
    OutPoint("while the server has the request, unprocessed", "held before", True, True),
    OutPoint(
        "after the server processed it, its answer unread", "held after", True, True, in_room=1
    ),
    OutPoint(
        "after the answer was read, nothing written yet",
        Death("after", f"{_CONNECTOR}.send"),
        True,
        True,
        in_room=1,
    ),
    OutPoint(
        "before the end is committed",
        Death("before", f"{_OUTBOUND}.settle"),
        True,
        True,
        in_room=1,
    ),
    OutPoint(
        "after the end is committed, nobody told",
        Death("before", "fleetchatd.outbox.ends:Ends.tell"),
        True,
        True,
        in_room=1,
    ),
    OutPoint(
        "after the server refused it, nothing written yet",
        Death("before", f"{_OUTBOUND}.settle"),
        True,
        True,
        refused=True,
    ),
    OutPoint(
        "before the intent to send a queued one is committed",
        Death("before", f"{_OUTBOUND}.begin_attempts"),
        True,
        True,
        queued_behind=True,
    ),
    OutPoint(
        "after that intent is committed",
        Death("done", f"{_OUTBOUND}.begin_attempts"),
        True,
        True,
        queued_behind=True,
    ),
    OutPoint(
        "after the first of two parts is out, nothing written yet",
        Death("before", f"{_OUTBOUND}.part_sent"),
        True,
        True,
        in_room=1,
        parts=2,
    ),
    OutPoint(
        "between two parts",
        Death("done", f"{_OUTBOUND}.part_sent"),
        True,
        True,
        in_room=1,
        parts=2,
    ),
)


@dataclass(frozen=True)
class InPoint:
    """A step of `chat → journal → subscriber`.

    Attributes:
        journalled: whether event and position were on disk; None: some of them.
        written: whether the subscriber had its line.
        acknowledged: whether its acknowledgement was on disk.
        said: how many messages people had said while the daemon was away.
    """

    moment: str
    place: Death
    journalled: bool | None
    written: bool = False
    acknowledged: bool = False
    said: int = 3

    @property
    def columns(self) -> tuple[str, ...]:
        journalled = {True: "yes", False: "no", None: "in part"}[self.journalled]
        again = "all of it, once"
        if self.acknowledged:
            again = "nothing more: it was acknowledged"
        elif self.written:
            again = "all of it again, under the same `seq`"
        return (self.moment, journalled, "yes" if self.written else "no", again)


IN_HEAD = ("Killed …", "on disk", "subscriber had it", "after the restart the subscriber gets")

IN: tuple[InPoint, ...] = (
    InPoint("after the poll is answered", Death("before", "fleetchatd.inbox:Inbox.commit"), False),
    InPoint("before the commit", Death("after", "fleetchatd.inbox:Inbox.commit"), False),
    InPoint(
        "after the commit, before the next poll",
        Death("done", "fleetchatd.inbox:Inbox.commit"),
        True,
    ),
    InPoint(
        "while a gap is filled, before its first commit",
        Death("before", "fleetchatd.inbox:Inbox.commit"),
        False,
        said=120,
    ),
    InPoint(
        "while a gap is filled, between two commits of it",
        Death("done", "fleetchatd.inbox:Inbox.commit", 2),  # the first may hold nothing new
        None,
        said=260,
    ),
    InPoint("before the line is written", Death("before", _WRITE), True),
    InPoint("after the line is written", Death("after", _WRITE), True, written=True),
    InPoint(
        "as the acknowledgement arrives",
        Death("before", f"{_SUBSCRIBERS}.acknowledge"),
        True,
        written=True,
    ),
    InPoint(
        "before the acknowledgement is committed",
        Death("after", f"{_SUBSCRIBERS}.acknowledge"),
        True,
        written=True,
    ),
    InPoint(
        "after that, before its answer",
        Death("done", f"{_SUBSCRIBERS}.acknowledge"),
        True,
        written=True,
        acknowledged=True,
    ),
)


def table() -> str:
    """Both flows, as Markdown."""
    outbound = rows(OUT_HEAD, [point.columns for point in OUT])
    inbound = rows(IN_HEAD, [point.columns for point in IN])
    return (
        f"### From a client to the chat (Matrix)\n\n{outbound}\n\n"
        f"### From the chat to a subscriber (Matrix)\n\n{inbound}\n"
    )


def rows(head: tuple[str, ...], below: list[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    lines = [head, tuple("---" for _ in head), *below]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
