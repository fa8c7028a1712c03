"""Reading off a pane's screen what a program says to the orchestrator, as a function of values.

A look gives the pane's logical lines (wraps joined), from the oldest that is kept to the bottom. A
position remembers the last of them, so that the next look is read from there on:

    the lines remembered        a b c d e f              f is gone: it was drawn anew
    the lines seen now      … a b c d e G H I            G H I are new, less what f was

Where nothing remembered is left, the screen was cleared or much has happened: all of it is new but
what was just delivered.

What cannot be told from a screen:

* what came and went between two looks: cleared, or scrolled out of a short history;
* whether the same text without an id, shown again, was said again: with nothing but such lines in
  between it is taken for a terminal's echo and the program's copy, on a screen drawn anew for what
  was there before;
* how a program that breaks its lines itself would have gone on: only the first row is read;
* tabs, rare combining sequences, and blanks at the end, which a terminal does not keep;
* who speaks: whatever a program shows can look like an address line, so nothing here is `human`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from fleetchatd.model import EventClass
from fleetchatd.tmux import address
from fleetchatd.tmux.address import Address
from fleetchatd.tmux.protocol import quoted

REMEMBERED = 40
"""How many lines a position holds: enough to find its place, and little to commit."""

SURE = 8
"""How many different lines in a row are no coincidence; where they were before, any lines."""

_IDS_REMEMBERED = 200
_ECHOES_AWAITED = 20
_CLASSES: Mapping[str | None, EventClass] = {"terminal-log": "terminal-log", "reaction": "reaction"}
"""The others are for acting upon: only the spool tells what a human has said."""

_CURSOR = "#{pane_height} #{cursor_y}"


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody said to the orchestrator.

    Attributes:
        source: who, `host:session`.
        id: the line's own id, unique to its source; None if it has none.
        tag: the thread's tag, or None.
    """

    source: str
    text: str
    event_class: EventClass
    id: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """A pane's screen at one moment.

    Attributes:
        pane_id: tmux's `%N`.
        lines: the logical lines, the oldest first.
        cursor_row: what the cursor's row shows: its line may still grow.
        streaming: whether something stands below the cursor: then any line may still grow, for the
            program draws where it likes.
    """

    pane_id: str
    lines: Sequence[str]
    cursor_row: str = ""
    streaming: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a look.

    Attributes:
        position: where the next look goes on; opaque.
        lines: what was said since the last look, in order.
        again: whether to look again in a moment, even if the pane stays silent: a line may be
            complete, but is not known to be.
    """

    position: str
    lines: list[Line]
    again: bool


def look_command(pane_id: str) -> str:
    """What to have tmux do for a look: all in one moment."""
    target = f"-t {pane_id}"
    return (
        f"display-message -p {target} {quoted(_CURSOR)} ; capture-pane -p {target} ;"
        f" capture-pane -p -J -S - {target}"
    )


def parse_look(pane_id: str, answer: Sequence[str]) -> Look | None:
    """The look out of tmux's answer; None if there was no such pane."""
    height, _, cursor = answer[0].partition(" ") if answer else ("", "", "")
    if not (height.isdecimal() and cursor.isdecimal()):
        return None
    rows, lines = answer[1 : 1 + int(height)], answer[1 + int(height) :]
    below = rows[int(cursor) + 1 :]
    cursor_row = "".join(rows[int(cursor) :][:1])
    return Look(pane_id, lines, cursor_row, streaming=any(row.strip() for row in below))


def read(position: str | None, look: Look, own_address: str) -> Reading:
    """What was said to `own_address` since the look that `position` is of.

    Args:
        position: the last reading's; None on the first look, which delivers nothing.
        look: the screen now.
        own_address: `host:name` of the orchestrator.
    """
    place = _Place.parse(position)
    lines = _finished(look)
    if place is None or place.pane != look.pane_id:
        place = _Place(look.pane_id)
        _Reader(place, own_address, None).take(lines, Counter())
        place.move_on(lines, len(lines))
        return Reading(place.text(), [], again=False)
    start, drawn_anew = place.resume(lines)
    reader = _Reader(place, own_address, place.waiting if look.streaming else None)
    stop = start + reader.take(lines[start:], Counter(drawn_anew))
    place.move_on(lines, stop)
    place.waiting = reader.unsure
    return Reading(place.text(), reader.said, again=bool(reader.unsure))


class _Start(NamedTuple):
    """Where reading goes on, and what of the lines remembered is no longer there."""

    line: int
    drawn_anew: Sequence[str]


@dataclass
class _Place:
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
    def parse(cls, position: str | None) -> _Place | None:
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
        self.lines = [_hash(line) for line in lines[max(0, stop - REMEMBERED) : stop]]
        self.count = stop
        self.ids = self.ids[-_IDS_REMEMBERED:]
        self.said = self.said[-REMEMBERED:]
        self.echoes = self.echoes[-_ECHOES_AWAITED:]

    def resume(self, lines: Sequence[str]) -> _Start:
        """Where in `lines` what is new begins."""
        return self._where_it_was(lines) or self._where_it_is(lines) or _Start(0, self.said)

    def _where_it_was(self, lines: Sequence[str]) -> _Start | None:
        """The place if nothing above it is gone: only so are equal lines told apart for sure."""
        for kept in range(len(self.lines), 0, -1):
            end = self.count - len(self.lines) + kept
            run = _run(self.lines[:kept], lines, end) if end <= len(lines) else 0
            if run == end or (run == kept and (run >= SURE or run == len(self.lines))):
                return _Start(end, self.lines[kept:])
        return None

    def _where_it_is(self, lines: Sequence[str]) -> _Start | None:
        """The place after the longest run of remembered lines, which begins anywhere or on top."""
        wanted: dict[str, list[int]] = {}
        for index, line in enumerate(self.lines):
            wanted.setdefault(line, []).append(index)
        runs: dict[int, int] = {}
        best, ends = (0, 0), list[int]()
        for end, line in enumerate(lines, 1):
            runs = {index: runs.get(index - 1, 0) + 1 for index in wanted.get(_hash(line), ())}
            for index, run in runs.items():
                if (run, index) >= best and (run == end or self._is_telling(index, run)):
                    ends = [*ends, end] if (run, index) == best else [end]
                    best = (run, index)
        if not ends:
            return None
        return _Start(ends[0], self.lines[best[1] + 1 :] if len(ends) == 1 else self.said)

    def _is_telling(self, last: int, run: int) -> bool:
        """Whether a run of remembered lines can hardly stand elsewhere by coincidence."""
        return run >= SURE <= len(set(self.lines[last + 1 - run : last + 1]))


class _Reader:
    """Goes through lines, and tells which of them say something new."""

    def __init__(self, place: _Place, own_address: str, known: Collection[str] | None) -> None:
        """Make one.

        Args:
            place: is kept up to date.
            own_address: whom the lines must mean.
            known: if given, only lines that were seen before, these, are complete.
        """
        self.said: list[Line] = []
        self.unsure: list[str] = []
        self._place = place
        self._own_address = own_address
        self._known = known

    def take(self, lines: Iterable[str], drawn_anew: Counter[str]) -> int:
        """Read lines, up to the first that may still grow; returns how many were read."""
        read = 0
        for line in lines:
            found = address.parse(line)
            if found is None:
                self._place.echoes.clear()
            elif found[0].destination == self._own_address != found[0].source:
                self._weigh(_hash(line), *found, drawn_anew)
            read += not self.unsure
        return read

    def _weigh(self, line: str, to: Address, text: str, drawn_anew: Counter[str]) -> None:
        if self.unsure or (self._known is not None and line not in self._known):
            self.unsure.append(line)
        elif drawn_anew[line]:
            drawn_anew[line] -= 1
        elif self._is_new(line, to):
            self.said.append(_line(to, text))

    def _is_new(self, line: str, to: Address) -> bool:
        place = self._place
        if to.id is not None:
            key = _hash(f"{to.source}~{to.id}")
            new = key not in place.ids
            place.ids += [key] if new else []
            return new
        if line in place.echoes:  # the copies of what was typed ahead come in the same order
            del place.echoes[: place.echoes.index(line) + 1]
            return False
        place.echoes.append(line)
        place.said.append(line)
        return True


def _line(to: Address, text: str) -> Line:
    return Line(to.source, text, _CLASSES.get(to.event_class, "actionable"), to.id, to.tag)


def _finished(look: Look) -> list[str]:
    """The lines that are complete, without blank ones."""
    lines = [stripped for line in look.lines if (stripped := line.rstrip())]
    row = look.cursor_row.strip()
    for index in range(len(lines) - 1, -1, -1) if row else ():
        if row in lines[index]:
            del lines[index]
            break
    return lines


def _run(remembered: Sequence[str], lines: Sequence[str], end: int) -> int:
    """How many lines before `end` are those remembered, counted backwards."""
    run = 0
    while run < min(len(remembered), end) and remembered[-1 - run] == _hash(lines[end - 1 - run]):
        run += 1
    return run


def _hash(line: str) -> str:
    return hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
