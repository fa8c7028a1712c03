"""What is read off two looks at a pane: does a text stand there as a draft, and was it accepted?"""

from __future__ import annotations

from dataclasses import dataclass

from fleetchatd.tmux.panes import Pane

_TAIL_LENGTH = 16
_STANDING_LENGTH = 200
_FRAMES = dict.fromkeys(range(0x2500, 0x25A0))
"""Lines and blocks, such as are drawn around an input."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A pane and the rows that it shows."""

    pane: Pane
    rows: tuple[str, ...]

    @property
    def line(self) -> str:
        """The row with the cursor."""
        return "".join(self.rows[self.pane.cursor[1] :][:1])

    @property
    def above(self) -> str:
        """The row over it."""
        return "".join(self.rows[: self.pane.cursor[1]][-1:])


def is_accepted(before: str | None, drafted: Screen, after: Screen, text: str) -> bool:
    """Whether the program took the text that stood there as a draft.

    Args:
        before: the line at the cursor before the text was pasted; None if not known.
        drafted: what the pane showed before Enter.
        after: what it showed after Enter.
        text: what was pasted.
    """
    if before == drafted.line:  # it does not show its input at the cursor
        return after.rows != drafted.rows
    if after.line == before:
        return True
    length = min(_TAIL_LENGTH, after.pane.size[0] // 2)  # what two rows surely hold
    tail = _squeezed(text.rpartition("\n")[2])[-length:]
    around = _squeezed(after.above + after.line)
    return after.line != drafted.line and tail not in around


def stands(screen: Screen, text: str, *, anew: bool = False) -> bool:
    """Whether `text` stands at the cursor as a draft, left by an earlier attempt.

    Args:
        screen: what the pane shows.
        text: what was pasted.
        anew: whether that attempt is known to have ended so: then an Enter may have made it longer,
            where otherwise an empty line at the cursor means that the text was taken.
    """
    tail = _squeezed(text)[-_STANDING_LENGTH:]
    shown = _squeezed("".join(screen.rows[: screen.pane.cursor[1] + 1]))
    return bool(tail) and shown.endswith(tail) and (anew or bool(_squeezed(screen.line)))


def _squeezed(shown: str) -> str:
    """What is left of a text wherever it is wrapped, indented or framed."""
    return "".join(shown.translate(_FRAMES).split())
