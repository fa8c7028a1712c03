r"""What tmux writes to a control-mode client, as a function of values (tmux(1), CONTROL MODE).

%begin TIME NUMBER FLAGS      a command's answer begins,
…                             its lines,
%end TIME NUMBER FLAGS        and it ends (or `%error`), with the same tail
%output %3 \033[1mhello      a notice: something happened meanwhile
"""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_LINE_BYTES = 64 * 1024 * 1024
"""A line beyond that is no tmux speaking."""

_OURS = b"1"
"""The flag of answers to commands that this client sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command answered."""

    lines: tuple[str, ...]
    failed: bool
    ours: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened: `name` without its %, and the words behind it."""

    name: str
    rest: str


class ControlStream:
    """Takes the bytes as they come, and gives what is complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._tail: bytes | None = None
        self._lines: list[str] = []

    def feed(self, data: bytes) -> list[Answer | Notice]:
        """The answers and notices that `data` completes.

        Raises:
            ValueError: this is not tmux's control mode.
        """
        self._buffer += data
        if b"\n" not in data:
            if len(self._buffer) > LONGEST_LINE_BYTES:
                raise ValueError("a line without an end")
            return []
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        return [item for line in lines if (item := self._take(bytes(line))) is not None]

    def _take(self, line: bytes) -> Answer | Notice | None:
        if self._tail is None:
            return self._outside(line)
        word, _, tail = line.partition(b" ")
        # An answer may hold lines that look like its end: only the same tail ends it.
        if word in (b"%end", b"%error") and tail == self._tail:
            ours = tail.rpartition(b" ")[2] == _OURS
            answer = Answer(tuple(self._lines), failed=word == b"%error", ours=ours)
            self._tail, self._lines = None, []
            return answer
        self._lines.append(line.decode("utf-8", "replace"))
        return None

    def _outside(self, line: bytes) -> Notice | None:
        word, _, rest = line.partition(b" ")
        if word == b"%begin":
            self._tail = rest
            return None
        if not word.startswith(b"%"):
            return None  # nothing that a newer tmux might say ends us
        return Notice(word[1:].decode("ascii", "replace"), rest.decode("utf-8", "replace"))


def quoted(text: str) -> str:
    """`text` as one word of a tmux command line (tmux(1), PARSING SYNTAX)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\x1b", "\\e")
    return f'"{escaped}"'
