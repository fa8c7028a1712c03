"""How things look: styles that a terminal understands, and lines that fit it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from prompt_toolkit.utils import get_cwidth

_BOLD, _DIM = "1", "2"
_CHARACTER = re.compile(r"\x1b\[[\d;]*m|.", re.DOTALL)
"""A character, or a change of style, which takes no room."""


@dataclass(frozen=True, slots=True)
class Look:
    """What may be used to make things look good. Nothing needs it to be understood.

    Attributes:
        colour: colours.
        styled: bold and dim.
    """

    colour: bool
    styled: bool

    def bold(self, words: str) -> str:
        """What stands out."""
        return self._in(_BOLD, words)

    def dim(self, words: str) -> str:
        """What steps back."""
        return self._in(_DIM, words)

    def _in(self, code: str, words: str) -> str:
        return f"\x1b[{code}m{words}\x1b[0m" if self.styled and words else words


def wanted(environment: Mapping[str, str]) -> Look:
    """What the operator wants (no-color.org, and TERM=dumb)."""
    dumb = environment.get("TERM") == "dumb"
    return Look(colour=not dumb and not environment.get("NO_COLOR"), styled=not dumb)


def wrapped(line: str, columns: int) -> list[str]:
    """`line` cut into pieces that are at most `columns` wide, wherever that falls.

    Every character counts by itself: tmux never shows more, whatever it joins to one.
    """
    pieces = [""]
    room = columns
    for character in _CHARACTER.findall(line):
        width = 0 if len(character) > 1 else get_cwidth(character)
        if width > room:
            pieces.append("")
            room = columns
        pieces[-1] += character
        room -= width
    return pieces


def folded(text: str, columns: int) -> list[str]:
    """The lines of `text`, cut where they are too wide."""
    return [piece for line in text.split("\n") for piece in wrapped(line, columns)]


def shortened(word: str, columns: int) -> str:
    """`word`, cut to at most `columns` with an ellipsis."""
    if get_cwidth(word) <= columns:
        return word
    return wrapped(word, columns - 1)[0] + "…"
