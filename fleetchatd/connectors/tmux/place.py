"""Where reading a screen goes on: a position remembers the last lines that were read.

    the lines remembered        a b c d e f              f is gone: it was drawn anew
    the lines seen now      … a b c d e G H I            G H I are new, less what f was

Where nothing remembered is left, the screen was cleared or much has happened: all of it is new but
what was just delivered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

REMEMBERED = 40
"""How many lines a position holds: enough to find its place, and little to commit."""

SURE = 8
"""How many different lines in a row are no coincidence; where they were before, any lines."""

_IDS_REMEMBERED = 200
_ECHOES_AWAITED = 20


class Start(NamedTuple):
    """Where reading goes on, and what of the lines remembered is no longer there."""

    line: int
    drawn_anew: Sequence[str]


@dataclass
class Place:
    """A position, spelled out. Lines stand for themselves by their hashes.

    Attributes:
        pane: the pane's id.
        lines: the last ones that were read.
        count: how many lines there were in all, up to the last of them.
        ids: of the lines that were delivered.
        said: the lines without an id that were delivered.
        echoes: those of them whose copy may come next.
        waiting: lines that were seen, but not delivered: they may still have been growing.
    """

    pane: str
    lines: list[str] = field(default_factory=list)
    count: int = 0
    ids: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    echoes: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, position: str | None) -> Place | None:
        """A position of ours; None for one that we cannot read."""
        try:
            place = cls(**json.loads(position or ""))
        except (ValueError, TypeError):
            return None
        return place

    def text(self) -> str:
        """As it is committed."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def move_on(self, lines: Sequence[str], stop: int) -> None:
        """Remember the lines up to `stop` as read."""
        self.lines = [hash_of(line) for line in lines[max(0, stop - REMEMBERED) : stop]]
        self.count = stop
        self.ids = self.ids[-_IDS_REMEMBERED:]
        self.said = self.said[-REMEMBERED:]
        self.echoes = self.echoes[-_ECHOES_AWAITED:]

    def resume(self, lines: Sequence[str]) -> Start:
        """Where in `lines` what is new begins."""
        return self._where_it_was(lines) or self._where_it_is(lines) or Start(0, self.said)

    def _where_it_was(self, lines: Sequence[str]) -> Start | None:
        """The place if nothing above it is gone: only so are equal lines told apart for sure."""
        for kept in range(len(self.lines), 0, -1):
            end = self.count - len(self.lines) + kept
            run = _run(self.lines[:kept], lines, end) if end <= len(lines) else 0
            if run == end or (run == kept and (run >= SURE or run == len(self.lines))):
                return Start(end, self.lines[kept:])
        return None

    def _where_it_is(self, lines: Sequence[str]) -> Start | None:
        """The place after the longest run of remembered lines, which begins anywhere or on top."""
        wanted: dict[str, list[int]] = {}
        for index, line in enumerate(self.lines):
            wanted.setdefault(line, []).append(index)
        runs: dict[int, int] = {}
        best, ends = (0, 0), list[int]()
        for end, line in enumerate(lines, 1):
            runs = {index: runs.get(index - 1, 0) + 1 for index in wanted.get(hash_of(line), ())}
            for index, run in runs.items():
                if (run, index) >= best and (run == end or self._is_telling(index, run)):
                    ends = [*ends, end] if (run, index) == best else [end]
                    best = (run, index)
        if not ends:
            return None
        return Start(ends[0], self.lines[best[1] + 1 :] if len(ends) == 1 else self.said)

    def _is_telling(self, last: int, run: int) -> bool:
        """Whether a run of remembered lines can hardly stand elsewhere by coincidence."""
        return run >= SURE <= len(set(self.lines[last + 1 - run : last + 1]))


def _run(remembered: Sequence[str], lines: Sequence[str], end: int) -> int:
    """How many lines before `end` are those remembered, counted backwards."""
    run = 0
    while run < min(len(remembered), end) and remembered[-1 - run] == hash_of(lines[end - 1 - run]):
        run += 1
    return run


def hash_of(line: str) -> str:
    """What a line is remembered by: short, as a position is committed again and again."""
    return hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
