"""Every step on tmux at which the daemon or the console may die, and what must be seen afterwards.

test_tmux_kill_points.py dies at each of them; tools/guarantees_table.py writes their tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.harness.daemon import Death
from tests.integration.kill_points import rows

_SPOOL = "fleetchatd.tmux.spool:Spool"
_INBOX = "fleetchatd.inbox:Inbox"
_OUTBOUND = "fleetchatd.journal.sqlite.outbound:Outbound"
_CONNECTOR = "fleetchatd.connectors.tmux.connector:TmuxConnector"
_PASTER = "fleetchatd.connectors.tmux.console_pane:Paster"
_CONVERSATION = "fleetchatd.client.console.conversation:Conversation"
# What the console says of a daemon that is away or back is printed by it, too.
_PAGE = "fleetchatd.client.console.paper:Page"
_TYPED = "fleetchatd.tmux.submission:_Submission"

Who = Literal["daemon", "console"]


@dataclass(frozen=True)
class Word:
    """A step of `console → journal`, at something that the operator says.

    Attributes:
        who: which process dies.
        moment: the step, for people.
        place: where it kills itself.
        spooled: whether it is in the spool then.
        journalled: whether it is in the journal then.
        shown: whether the operator saw it as sent.
    """

    who: Who
    moment: str
    place: Death
    spooled: bool = True
    journalled: bool = False
    shown: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        flags = (self.shown, self.spooled, self.journalled)
        end = "it, once" if self.spooled or self.journalled else "nothing: it was never sent"
        return (f"the {self.who}, {self.moment}", *("yes" if flag else "no" for flag in flags), end)


WORD_HEAD = (
    "Killed …",
    "shown as sent",
    "in the spool",
    "in the journal",
    "after the restart the subscriber gets",
)

WORDS: tuple[Word, ...] = (
    Word(
        "console",
        "as Enter is pressed",
        Death("before", f"{_SPOOL}.submit"),
        spooled=False,
        shown=False,
    ),
    Word(
        "console",
        "before the file is renamed",
        Death("after", f"{_SPOOL}._write_partial"),
        spooled=False,
        shown=False,
    ),
    Word("console", "after that, nothing shown", Death("after", f"{_SPOOL}._publish"), shown=False),
    Word("console", "once it is shown as sent", Death("after", f"{_PAGE}.above", 2)),
    Word("daemon", "before it reads the file", Death("before", f"{_SPOOL}.submission")),
    Word("daemon", "before the commit", Death("after", f"{_INBOX}.commit")),
    Word(
        "daemon",
        "after the commit, before it removes the file",
        Death("before", f"{_SPOOL}.take"),
        journalled=True,
    ),
    Word(
        "daemon",
        "after that, before it tells the console",
        Death("after", f"{_SPOOL}.take"),
        spooled=False,
        journalled=True,
    ),
    Word(
        "daemon",
        "after the console is told",
        Death("after", "fleetchatd.connectors.tmux.desk:Desk.tell"),
        spooled=False,
        journalled=True,
    ),
)


@dataclass(frozen=True)
class Saying:
    """A step of `journal → console`, at a message of the orchestrator's.

    Attributes:
        who: which process dies.
        moment: the step, for people.
        place: where it kills itself; `unread`: it is stopped, and killed with the paste unread.
        seen: whether the operator sees the message then.
        confirmed: whether the console has confirmed it then.
        busy: the console reads nothing until the daemon is back.
    """

    who: Who
    moment: str
    place: Death | Literal["unread"]
    seen: bool = False
    confirmed: bool = False
    busy: bool = False

    @property
    def times(self) -> int:
        """How often the operator sees it in the end."""
        return 2 if self.seen and not self.confirmed else 1

    @property
    def columns(self) -> tuple[str, ...]:
        end = {1: "shown once", 2: "shown again: it might not have been seen"}[self.times]
        flags = (self.seen, self.confirmed)
        return (f"the {self.who}, {self.moment}", *("yes" if flag else "no" for flag in flags), end)


SAYING_HEAD = ("Killed …", "on the screen", "confirmed", "after the restart")

SAYINGS: tuple[Saying, ...] = (
    Saying("daemon", "once the intent is written", Death("before", f"{_CONNECTOR}.send")),
    Saying("daemon", "before the paste", Death("before", f"{_PASTER}.paste")),
    Saying(
        "daemon",
        "after it, while the console is busy",
        Death("after", f"{_PASTER}.paste"),
        busy=True,
    ),
    Saying(
        "daemon",
        "before it looks for the confirmation",
        Death("before", "fleetchatd.connectors.tmux.console_pane:Confirmations.wait"),
        seen=True,
        confirmed=True,
    ),
    Saying(
        "daemon",
        "after the confirmation was seen",
        Death("after", f"{_CONNECTOR}.send"),
        seen=True,
        confirmed=True,
    ),
    Saying(
        "daemon",
        "before the end is committed",
        Death("before", f"{_OUTBOUND}.settle"),
        seen=True,
        confirmed=True,
    ),
    Saying(
        "daemon",
        "after the end is committed, nobody told",
        Death("before", "fleetchatd.outbox.ends:Ends.tell"),
        seen=True,
        confirmed=True,
    ),
    Saying("console", "with the paste unread", "unread"),
    Saying("console", "as the paste arrives", Death("before", f"{_CONVERSATION}.paste")),
    Saying("console", "before it prints", Death("before", f"{_PAGE}.above", 3)),
    Saying(
        "console", "after that, nothing confirmed", Death("after", f"{_PAGE}.above", 3), seen=True
    ),
    Saying(
        "console",
        "before the confirmation is synced",
        Death("before", "fleetchatd.durable:sync_folder"),
        seen=True,
        confirmed=True,
    ),
    Saying(
        "console",
        "once it is confirmed, the daemon not woken",
        Death("after", f"{_SPOOL}.acknowledge"),
        seen=True,
        confirmed=True,
    ),
)


@dataclass(frozen=True)
class Typing:
    """A step of `journal → another program`: the daemon dies.

    Attributes:
        moment: the step, for people.
        place: where it kills itself.
        drafted: whether the text stands in the program's input then, unsubmitted.
        accepted: whether the program had taken it.
    """

    moment: str
    place: Death
    drafted: bool = False
    accepted: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        had = "a draft" if self.drafted else "the message" if self.accepted else "nothing"
        return (f"the daemon, {self.moment}", had, "`unknown`, and not typed again")


TYPING_HEAD = ("Killed …", "the program had", "after the restart")

TYPINGS: tuple[Typing, ...] = (
    Typing("before it types", Death("before", "fleetchatd.tmux.submission:submit")),
    Typing("after the paste, before Enter", Death("after", f"{_TYPED}._paste"), drafted=True),
    Typing("after Enter, unverified", Death("before", f"{_TYPED}._must_be_read", 2), accepted=True),
    Typing("once it is verified", Death("after", "fleetchatd.tmux.submission:submit"), False, True),
    Typing("before the end is committed", Death("before", f"{_OUTBOUND}.settle"), False, True),
)


def table() -> str:
    """All three ways, as Markdown."""
    words = rows(WORD_HEAD, [point.columns for point in WORDS])
    sayings = rows(SAYING_HEAD, [point.columns for point in SAYINGS])
    typings = rows(TYPING_HEAD, [point.columns for point in TYPINGS])
    return (
        f"### From the operator's console to a subscriber (tmux)\n\n{words}\n\n"
        f"### From the journal to the operator's console (tmux)\n\n{sayings}\n\n"
        f"### From the journal to another program in the pane (tmux)\n\n{typings}\n"
    )
