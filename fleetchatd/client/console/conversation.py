"""What happens on Enter, on a paste, and when the daemon comes and goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from prompt_toolkit.buffer import Buffer

from fleetchatd.client.console import above, entered, pasted
from fleetchatd.client.console.ledger import Ledger
from fleetchatd.client.console.look import Look
from fleetchatd.client.console.pasted import Message
from fleetchatd.tmux.marks import Mark
from fleetchatd.tmux.spool import LONGEST_BYTES, Names, Spool, SpoolError

FOREIGN_ENTER_S = 2.0
"""How long after another program's paste the Enter that it presses may come, in seconds."""

NOBODY = Names("console", "orchestrator")
"""Who is who before any daemon has said so."""

LEAVING = "Ctrl-D again leaves; what arrives meanwhile waits"


class Page(Protocol):
    """Where it is shown."""

    @property
    def columns(self) -> int:
        """How wide it is."""

    def above(self, lines: Iterable[str]) -> None:
        """Print lines above the prompt; once this returns, the terminal has them."""

    def nudge(self) -> None:
        """Write something that changes nothing, for who waits for output."""

    def invalidate(self) -> None:
        """Draw the prompt anew."""


class Conversation:
    """Both sides of it, and the line that is being typed.

    Attributes:
        thread: the tag under which lines go, or None.
    """

    def __init__(
        self, spool: Spool, draft: Buffer, page: Page, look: Look, leave: Callable[[], None]
    ) -> None:
        self.thread: str | None = None
        self._spool = spool
        self._draft = draft
        self._page = page
        self._look = look
        self._leave = leave
        self._both = NOBODY
        self._look_up_names()
        self._ledger = Ledger(spool.pending())
        self._shown: set[str] = set()
        self._last_said: datetime | None = None
        self._away_told = False
        self._unconfirmed_told = False
        self._foreign_enter: tuple[float, str] | None = None
        self._leaving = False
        draft.on_text_changed += lambda _: self._stay()

    def state(self) -> str:
        """The state of things, for the line below the prompt."""
        if self._leaving:
            return LEAVING
        return self._ledger.words(pasted.session(self._both.orchestrator))

    # -- the operator --------------------------------------------------------------------------

    def enter(self) -> None:
        """The line is to be carried out."""
        self._stay()
        if self._is_foreign_enter():
            return
        meaning = entered.meaning(self._draft.text)
        if isinstance(meaning, entered.Say):
            self._submit(meaning.text)
            return
        self._draft.reset(append_to_history=not isinstance(meaning, entered.Nothing))
        match meaning:
            case entered.Thread(tag):
                self.thread = tag
                self._note(self._thread_words())
            case entered.ShowThread():
                self._note(self._thread_words())
            case entered.Help():
                self._note(above.HELP)
            case entered.Hint(words):
                self._note(words)
            case entered.Quit():
                self._leave()

    def interrupt(self) -> None:
        """Ctrl-C: the line is not wanted."""
        self._stay()
        self._draft.reset()

    def end(self) -> None:
        """Ctrl-D on an empty line: leave, but not by a slip of the finger."""
        if self._leaving:
            self._leave()
        self._leaving = True

    # -- pastes --------------------------------------------------------------------------------

    def paste(self, data: str, into: Buffer) -> None:
        """Something was pasted: by the daemon, another program, or a person (`into` a buffer)."""
        names = self._look_up_names()
        message = pasted.message(data, names.operator if names else None)
        if message is None:
            into.insert_text(entered.sendable(data))
        elif message.id is None:
            self._foreign_enter = (time.monotonic() + FOREIGN_ENTER_S, self._draft.text)
            self._show(message)
        else:
            self._deliver(message, message.id)

    def _deliver(self, message: Message, message_id: str) -> None:
        """Show a message of the daemon's once, and confirm it as often as it comes."""
        if not self._spool.acknowledged(message_id):
            self._show_once(message, message_id)
            try:
                self._spool.acknowledge(message_id)
            except SpoolError as error:
                self._tell_unconfirmed(error)
        self._page.nudge()  # the daemon looks for the confirmation when the pane says something

    def _show_once(self, message: Message, message_id: str) -> None:
        if message_id not in self._shown:
            self._shown.add(message_id)
            self._show(message)

    def _show(self, message: Message) -> None:
        now = datetime.now().astimezone()
        columns = self._page.columns
        header = above.header(message, now, self._last_said, columns, self._look)
        self._last_said = now
        self._page.above(above.said(message, header, columns, self._look))

    def _tell_unconfirmed(self, error: SpoolError) -> None:
        if not self._unconfirmed_told:
            self._unconfirmed_told = True
            self._note(f"{error}; the daemon does not know that you have seen this")

    # -- the daemon ----------------------------------------------------------------------------

    def daemon_came(self) -> None:
        """It is there (again)."""
        self._look_up_names()
        self._ledger.here = True
        with suppress(SpoolError):  # then the count is too high until the next time
            self._ledger.only(self._spool.pending())
        if self._away_told:
            self._note("fleetchatd is back")
        self._away_told = False
        self._page.invalidate()

    def daemon_left(self) -> None:
        """It is not there (any more)."""
        since = f" since {datetime.now().astimezone():%H:%M}" if self._ledger.here else ""
        self._ledger.here = False
        self._away_told = True
        self._note(
            f"fleetchatd is away{since}; what you send is kept, and goes out when it is back"
        )

    def daemon_said(self, mark: Mark) -> None:
        """How far a submission has come."""
        self._ledger.mark(mark)
        self._page.invalidate()

    # -- parts ---------------------------------------------------------------------------------

    def _look_up_names(self) -> Names | None:
        """Who is who by now; None if no daemon has ever said so."""
        names = self._spool.names()
        self._both = names or NOBODY
        return names

    def _submit(self, text: str) -> None:
        """Keep it, and only then show it as sent. If that fails, the line stays."""
        if len(text.encode()) > LONGEST_BYTES:
            self._note(f"cannot send this: it is longer than {LONGEST_BYTES} bytes; shorten it")
            return
        try:
            submission = self._spool.submit(text, self.thread)
        except SpoolError as error:
            self._note(f"{error}; nothing was sent, and Enter tries again")
            return
        self._ledger.submitted(submission.id)
        self._draft.reset(append_to_history=True)
        self._look_up_names()
        self._page.above(above.own(submission, self._both, self._look))

    def _is_foreign_enter(self) -> bool:
        """Whether this Enter belongs to a paste that another program made, and not to the line."""
        if self._foreign_enter is None:
            return False
        until, text = self._foreign_enter
        self._foreign_enter = None
        return time.monotonic() < until and text == self._draft.text

    def _stay(self) -> None:
        self._leaving = False

    def _thread_words(self) -> str:
        return "no thread" if self.thread is None else f"thread #{self.thread}"

    def _note(self, words: str) -> None:
        self._page.above(above.note(words, self._look))
