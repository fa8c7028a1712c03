"""A roster's text with changes pencilled in."""

from __future__ import annotations

from collections.abc import Iterable

from fleetchatd.setup.editing.layout import BREAKS, Layout

_NEWLINES = ("\r\n", "\n", "\r")


class CannotEdit(Exception):  # noqa: N818 - never leaves the editing of rosters
    """No change would leave everything else as it is; says why."""


class Draft:
    """Collects changes; `layout` stays that of the text as it was."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.layout = Layout(text)
        self._changes: list[tuple[int, int, str]] = []

    def result(self) -> str:
        """The text with all changes made."""
        pieces, place = [], 0
        for start, end, new in sorted(self._changes, key=lambda change: change[0]):
            pieces += [self.text[place:start], new]
            place = end
        return "".join([*pieces, self.text[place:]])

    def insert(self, place: int, new: str) -> None:
        """Put `new` at `place`, behind what was put there before."""
        self.replace(place, place, new)

    def replace(self, start: int, end: int, new: str) -> None:
        """Put `new` where something stands.

        Raises:
            CannotEdit: a comment stands there, too.
        """
        if self.layout.has_comment(start, end):
            raise CannotEdit("a comment stands within what would have to go")
        self._changes.append((start, end, new))

    def cut(self, start: int, end: int) -> None:
        """Take something away, with its line if nothing else is there.

        Raises:
            CannotEdit: a comment stands there, too.
        """
        rest = self.layout.behind(end)[0]
        blanks = len(rest) - len(rest.lstrip(" \t"))
        line = self.layout.line_start(start)
        if rest.strip():  # a comment, which stays: in its place, or in the line's
            self.replace(start, end + (blanks if line is not None else 0), "")
        elif not rest.endswith(BREAKS) and end + len(rest) < len(self.text):
            self.replace(start, end + blanks, "")
        elif line is not None:
            self.replace(line, end + len(rest), "")
        else:
            self.replace(len(self.text[:start].rstrip(" \t")), end, "")

    def insert_lines(self, place: int, lines: Iterable[str]) -> None:
        """Put whole lines at `place`, which begins a line or is the end of the last one.

        They end as the line above does. Where the text's last line does not, neither do they.
        """
        around = self.text[:place].splitlines(keepends=True)[::-1]
        around += self.text[place:].splitlines(keepends=True)
        endings = (each for line in around for each in _NEWLINES if line.endswith(each))
        newline = next(endings, "\n")
        begins = place == 0 or self.text[:place].endswith(BREAKS)
        pieces = (f"{line}{newline}" if begins else f"{newline}{line}" for line in lines)
        self.insert(place, "".join(pieces))

    def line_start(self, place: int) -> int:
        """Where the line of `place` begins.

        Raises:
            CannotEdit: something else is written before it there.
        """
        line = self.layout.line_start(place)
        if line is None:
            raise CannotEdit("a key or a list's item does not begin its line")
        return line

    def below(self, end: int, column: int) -> int:
        """The place below what ends at `end` and the comments that belong to it.

        Those are at least at `column`; one at column 0 belongs to nothing above it.
        """
        rest, *others = self.layout.behind(end)
        place = passed = end + len(rest)
        for line in others:
            passed += len(line)
            words = line.lstrip(" \t")
            if words.startswith("#"):
                if len(line) - len(words) < max(column, 1):
                    break
                place = passed
        return place
