"""How far what the operator submitted has come, in words."""

from __future__ import annotations

from collections.abc import Iterable

from fleetchatd.tmux.marks import Mark

HINT = "Enter sends, Alt-Enter: new line, /help"


class Ledger:
    """The submissions that wait for the daemon, and the state of the latest one.

    Attributes:
        here: whether the daemon is there.
    """

    def __init__(self, waiting: Iterable[str]) -> None:
        self.here = False
        self._waiting = set(waiting)
        self._latest: str | None = None
        self._taken = ""

    def submitted(self, submission_id: str) -> None:
        """The operator has submitted it."""
        self._waiting.add(submission_id)
        self._latest = submission_id

    def mark(self, mark: Mark) -> None:
        """The daemon says how far one has come."""
        if mark.kind == "kept":
            self._waiting.discard(mark.id)
            return
        self._taken = max(self._taken, mark.id)  # ids sort by time
        self._waiting = {one for one in self._waiting if one > mark.id}

    def only(self, waiting: Iterable[str]) -> None:
        """Nothing but these waits: whatever has left the spool is kept."""
        self._waiting &= set(waiting)

    def words(self, taker: str) -> str:
        """The state of things in a line.

        Args:
            taker: the orchestrator's name.
        """
        if not self.here:
            waiting = f" ({len(self._waiting)})" if self._waiting else ""
            return f"… waiting for fleetchatd{waiting}"
        if self._latest is None:
            return HINT
        if self._latest <= self._taken:
            return f"✓✓ taken by {taker}"
        return "… on its way" if self._latest in self._waiting else "✓ kept"
