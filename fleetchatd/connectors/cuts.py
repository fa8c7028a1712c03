"""Where a text may be cut in two."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
_LONGEST_CLUSTER = 32


def parts(text: str, end_of_part: Callable[[int], int]) -> tuple[str, ...]:
    """`text` in parts, of which each ends where `end_of_part` says, given where it begins."""
    found = []
    start = 0
    while start < len(text):
        end = end_of_part(start)
        found.append(text[start:end])
        start = end
    return tuple(found)


def behind(text: str, separator: str, first: int, limit: int) -> int:
    """The place behind the last `separator` between `first` and `limit`; 0 if none."""
    found = text.rfind(separator, max(0, first - len(separator)), limit)
    return found + len(separator) if found >= 0 else 0


def between_characters(text: str, first: int, limit: int) -> int:
    """`limit`, or a little before it where it would tear what is shown as one character."""
    for end in range(limit, max(first, limit - _LONGEST_CLUSTER) - 1, -1):
        if not _joins(text[end]) and text[end - 1] != "\u200d":
            return end
    return limit


def _joins(character: str) -> bool:
    """Whether it is shown as one with the character before it."""
    return (
        character in _JOINERS
        or unicodedata.combining(character) != 0
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
    )
