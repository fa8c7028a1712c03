"""What of Markdown must be seen without rendering it: whether there is any, and its code fences.

Text in, facts out; nothing here is imported that costs start-up time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# Whatever could be markup, in the wide sense: a false alarm costs a rendering, a miss costs the
# formatting. The first looks anywhere, the second at the beginnings of lines.
_INLINE = re.compile(r"[*_`~\[<&\\|\r]")
_LEADING = re.compile(r"\n(?:[ \t]*(?:[#>+=-]|\d{1,9}[.)])| {0,3}\t| {4})")

_FENCE = re.compile(r"\n([ \t>]*)((?:[-*+]|\d{1,9}[.)])[ \t]+)?(`{3,}|~{3,})([^\n]*)")


def has_markup(text: str) -> bool:
    """Whether Markdown could make more of `text` than its plain words; sometimes true in vain."""
    return (
        _INLINE.search(text) is not None
        # The newline gives the first line a beginning like that of all others.
        or _LEADING.search(f"\n{text}") is not None
    )


class Fence(NamedTuple):
    """A fenced code block (CommonMark §4.5), also one inside a list or a quotation.

    Attributes:
        start: index of its first line in the text.
        end: index after its last line; the end of the text while it is open.
        prefix: what stands before its marker: indentation, quotation marks, a list's bullet.
        marker: the backticks or tildes that opened it.
        info: what stands behind them, the language as a rule.
    """

    start: int
    end: int
    closed: bool
    prefix: str
    marker: str
    info: str

    def resumed(self, text: str) -> str:
        """Markdown for `text`, which goes on inside this block, so that it is code again."""
        code, rest = text, ""
        for line in _FENCE.finditer(f"\n{text}"):
            if _closes(line, self.prefix, self.marker):
                code, rest = text[: line.start()], text[line.end() - 1 :]
                break
        if not code:
            return rest
        if self.prefix:
            margin = r"[ \t>]" if ">" in self.prefix else r"[ \t]"
            code = re.sub(rf"(?m)^{margin}{{0,{len(self.prefix)}}}", "", code)
        newline = "" if code.endswith("\n") else "\n"
        return f"{self.marker}{self.info}\n{code}{newline}{self.marker}{rest}"


def fences(text: str) -> Iterator[Fence]:
    """The fenced code blocks of `text` in order, in linear time."""
    if "```" not in text and "~~~" not in text:
        return
    opener: re.Match[str] | None = None
    for line in _FENCE.finditer(f"\n{text}"):
        if opener is None:
            # Backticks behind backticks are inline code, not the beginning of a block.
            if line[3][0] == "~" or "`" not in line[4]:
                opener, prefix, marker = line, line[1] + (line[2] or ""), line[3]
        elif _closes(line, prefix, marker):
            # Indices in the text are one less than in the searched string, which brings
            # `end` behind the closing line's own newline.
            end = min(line.end(), len(text))
            yield Fence(opener.start(), end, True, prefix, marker, opener[4].strip())
            opener = None
    if opener is not None:
        yield Fence(opener.start(), len(text), False, prefix, marker, opener[4].strip())


def open_fence(text: str) -> Fence | None:
    """The block that is open where `text` ends; a last line without its newline does not count."""
    complete_lines = text[: text.rfind("\n") + 1]
    return next((fence for fence in fences(complete_lines) if not fence.closed), None)


def _closes(line: re.Match[str], prefix: str, marker: str) -> bool:
    return (
        line[3].startswith(marker)
        and not line[4].strip()
        and line[2] is None
        and len(line[1]) <= len(prefix) + 3
        and line[1].count(">") == prefix.count(">")
    )
