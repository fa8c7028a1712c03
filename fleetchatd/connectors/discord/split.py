"""Long texts in parts that each fit one Discord message, without losing a character.

A message may have 2,000 characters, counted here in UTF-16 units, the stricter way. Discord trims
white space at both ends of it, so that around a part costs nothing. A code block opens at any
"```" and ends at the next one. Where a part ends inside of one, it is closed there, and opened
again in the next part (`rendered`).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import NamedTuple

from fleetchatd.connectors import cuts

LONGEST_UNITS = 2000

FENCE = "```"
_CLOSING = f"\n{FENCE}"
_INFO = re.compile(r"([A-Za-z0-9_+\-.#]{1,32})\n")


class Block(NamedTuple):
    """A code block.

    Attributes:
        start: index of its opening fence.
        end: index behind its closing one; the end of the text while it is open.
        opener: what opens it again in another message.
    """

    start: int
    end: int
    opener: str


def blocks(text: str) -> list[Block]:
    """The code blocks of `text`, in order."""
    found = []
    start = text.find(FENCE)
    while start >= 0:
        info = _INFO.match(text, start + len(FENCE))
        close = text.find(FENCE, start + len(FENCE))
        end = len(text) if close < 0 else close + len(FENCE)
        found.append(Block(start, end, f"{FENCE}{info[1] if info else ''}\n"))
        start = text.find(FENCE, end) if close >= 0 else -1
    return found


def units(text: str) -> int:
    """The length of `text` as Discord may count it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def open_block(text: str) -> Block | None:
    """The code block that is open at the end of `text`, if any."""
    last = next(reversed(blocks(text)), None)
    if last is None or text.endswith(FENCE, last.start + len(FENCE), last.end):
        return None
    return last


def rendered(before: str, text: str, *, alone: bool) -> str:
    """What goes out for one part.

    Args:
        before: all of the message that stands before it.
        text: the part.
        alone: it is the whole message, which goes out as it is.
    """
    if alone:
        return text.strip()
    opened = open_block(before)
    whole = (opened.opener if opened else "") + text
    if open_block(whole) is not None:
        whole += FENCE if whole.endswith("\n") else _CLOSING
    return whole.strip()


def split(text: str) -> tuple[str, ...]:
    """`text` in parts that fit; joined they are `text` again.

    A part ends before or behind a code block or behind a blank line if it can, else behind a line,
    else behind a word, else between two characters. None is blank, unless all of `text` is.
    """
    if units(text.strip()) <= LONGEST_UNITS:
        return (text,)
    cutter = _Cutter(text)
    return cuts.parts(text, cutter.end_of_part)


class _Cutter:
    """Finds where parts of one text end. All indices are places between its characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.blocks = blocks(text)

    def end_of_part(self, start: int) -> int:
        """Where the part that begins at `start` ends best."""
        inside = self._block_at(start)
        budget = LONGEST_UNITS - units(inside.opener if inside else "")
        # White space before the first word is trimmed; in a code block it is part of the code.
        first = start if inside else self._behind_space(start)
        limit = self._reach(first, budget)
        if self._block_at(limit) is not None:
            limit = self._reach(first, budget - len(_CLOSING))
        end = self._outside_fence(self._best(first, limit), first)
        return end if self._block_at(end) else self._behind_space(end)

    def _best(self, first: int, limit: int) -> int:
        """The best place to end between `first`, which is visible, and `limit`."""
        if limit == len(self.text):
            return limit
        least = first + 1
        block = self._block_at(limit)
        if block is None:
            behind = self._last_end(least, limit)
            # A blank line in a code block is no place to end while the block's own end is one.
            return (
                max(behind, cuts.behind(self.text, "\n\n", max(behind, least), limit))
                or cuts.behind(self.text, "\n", least, limit)
                or cuts.behind(self.text, " ", least, limit)
                or cuts.between_characters(self.text, least, limit)
            )
        if block.start >= least and self.text[first : block.start].strip():
            whole = units(self.text[block.start : block.end]) <= LONGEST_UNITS
            if whole or block.start > (first + limit) // 2:
                return block.start
        inner = max(least, block.start + len(block.opener))
        return (
            cuts.behind(self.text, "\n", inner + 1, limit)
            or cuts.behind(self.text, " ", inner + 1, limit)
            or cuts.between_characters(self.text, least, limit)
        )

    def _reach(self, start: int, budget: int) -> int:
        """The farthest place up to which the text from `start` on fits."""
        chunk = self.text[start : start + budget]
        excess = units(chunk) - budget
        while excess > 0:
            chunk = chunk[: -((excess + 1) // 2)]
            excess = units(chunk) - budget
        return start + len(chunk)

    def _block_at(self, place: int) -> Block | None:
        """The code block that a cut at `place` would tear."""
        index = bisect_left(self.blocks, place, key=lambda block: block.start) - 1
        block = self.blocks[index] if index >= 0 else None
        if block is None or place > block.end:
            return None
        return None if place == block.end and self._closed(block) else block

    def _closed(self, block: Block) -> bool:
        return self.text.endswith(FENCE, block.start + len(FENCE), block.end)

    def _last_end(self, least: int, limit: int) -> int:
        """The end of the last code block that ends between these; 0 if none does."""
        index = bisect_right(self.blocks, limit, key=lambda block: block.end) - 1
        end = self.blocks[index].end if index >= 0 else 0
        return end if end >= least else 0

    def _outside_fence(self, end: int, first: int) -> int:
        """`end`, or the place before the fence that it would tear."""
        block = self._block_at(end)
        if block is None:
            return end
        fences = (block.start, block.end - len(FENCE)) if self._closed(block) else (block.start,)
        for fence in fences:
            if fence < end < fence + len(FENCE):
                return fence if fence > first else fence + len(FENCE)
        return end

    def _behind_space(self, place: int) -> int:
        """The first visible character from `place` on, or the end of the text."""
        while place < len(self.text) and self.text[place].isspace():
            place += 1
        return place
