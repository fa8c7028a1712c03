"""Long texts in parts that each fit one Matrix event, without losing a character.

An event may have 64 KiB as canonical JSON (client-server API, "Size limits"), so what counts is the
size as JSON, where quotation marks and control characters take more than one byte.
"""

from __future__ import annotations

from bisect import bisect_left

import orjson

from fleetchatd.connectors import cuts
from fleetchatd.connectors.matrix.markup import Fence, fences, has_markup
from fleetchatd.model import Format

GREATEST_BYTES = 57_000
"""Greatest size of a body as JSON; relations and ids have room beside it (content.py)."""

FORMATTED_BYTES = 16_000
"""What it should have where the HTML of the text goes out beside it, two or three times as long."""

SURELY_FITS = 8_000
"""Characters that fit whatever they are: none takes more than six bytes."""


def split(text: str, text_format: Format) -> tuple[str, ...]:
    """`text` in parts that fit; joined they are `text` again.

    A part ends before or behind a fenced code block or behind a blank line if it can, else behind a
    line, else behind a word, else between two characters. No part is blank, unless the white space
    in one place alone is too long for a part.
    """
    if len(text) < SURELY_FITS:
        return (text,)
    cutter = _Cutter(text, formatted=text_format == "markdown" and has_markup(text))
    return cuts.parts(text, cutter.end_of_part)


class _Cutter:
    """Finds where parts of one text end. All indices are places between its characters."""

    def __init__(self, text: str, *, formatted: bool) -> None:
        self.text = text
        self.wanted_bytes = FORMATTED_BYTES if formatted else GREATEST_BYTES
        self.blocks = list(fences(text)) if formatted else []
        self.last_word = len(text.rstrip()) - 1

    def end_of_part(self, start: int) -> int:
        """Where the part that begins at `start` ends best."""
        limit = self._reach(start, self.wanted_bytes)
        if limit == len(self.text):
            return limit
        if start < self.last_word <= limit:
            limit = self.last_word  # else nothing but white space is left for the last part
        words = self.text[start:limit].lstrip()
        if not words:
            return limit
        first = limit - len(words) + 1  # the part has at least one visible character
        return (
            self._last_boundary(first, limit)
            or self._next_boundary(start, limit)
            or cuts.behind(self.text, "\n", first, limit)
            or cuts.behind(self.text, " ", first, limit)
            or cuts.between_characters(self.text, first, limit)
        )

    def _reach(self, start: int, size_bytes: int) -> int:
        """A place up to which the text from `start` on fits, near the farthest or it."""
        chunk = self.text[start : start + size_bytes]
        while (size := len(orjson.dumps(chunk)) - 2) > size_bytes:
            chunk = chunk[: len(chunk) * size_bytes // size]
        return start + len(chunk)

    def _last_boundary(self, first: int, limit: int) -> int:
        """The last place between paragraphs or code blocks; 0 if there is none."""
        boundary = 0
        block = self._block_before(limit)
        if block is not None and block.end > limit:
            # The limit is inside of it, and what is before it was as good to cut.
            return block.start if block.start >= first else 0
        if block is not None and block.end >= first:
            boundary = block.end
        outside = max(boundary, first)
        return max(
            cuts.behind(self.text, "\n\n", outside, limit),
            cuts.behind(self.text, "\n\r\n", outside, limit),
            boundary,
        )

    def _next_boundary(self, start: int, limit: int) -> int:
        """The next such place that an event can still reach, at the price of its HTML; or 0."""
        block = self._block_before(limit)
        if block is not None and block.end > limit:
            if block.start < start:
                return 0  # it is cut already, and its pieces shall at least look like code
            boundary = block.end
        else:
            blank_line = self.text.find("\n\n", limit, start + GREATEST_BYTES)
            boundary = blank_line + 2 if blank_line >= 0 else len(self.text)
        if boundary > self.last_word:
            boundary = len(self.text)
        return boundary if boundary <= self._reach(start, GREATEST_BYTES) else 0

    def _block_before(self, place: int) -> Fence | None:
        """The last code block that begins before `place`."""
        index = bisect_left(self.blocks, place, key=lambda block: block.start) - 1
        return self.blocks[index] if index >= 0 else None
