"""Reading off a pane's screen what a program says to the orchestrator, as a function of values.

A look gives the pane's logical lines (wraps joined), from the oldest that is kept to the bottom.
What follows on the last look's (place.py) is new.

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

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fleetchatd.connectors.tmux.place import Place, hash_of
from fleetchatd.model import EventClass
from fleetchatd.tmux import address
from fleetchatd.tmux.address import Address
from fleetchatd.tmux.protocol import quoted

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
    place = Place.parse(position)
    lines = _finished(look)
    if place is None or place.pane != look.pane_id:
        place = Place(look.pane_id)
        _Reader(place, own_address, None).take(lines, Counter())
        place.move_on(lines, len(lines))
        return Reading(place.text(), [], again=False)
    start, drawn_anew = place.resume(lines)
    reader = _Reader(place, own_address, place.waiting if look.streaming else None)
    stop = start + reader.take(lines[start:], Counter(drawn_anew))
    place.move_on(lines, stop)
    place.waiting = reader.unsure
    return Reading(place.text(), reader.said, again=bool(reader.unsure))


class _Reader:
    """Goes through lines, and tells which of them say something new."""

    def __init__(self, place: Place, own_address: str, known: Collection[str] | None) -> None:
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
                self._weigh(hash_of(line), *found, drawn_anew)
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
            key = hash_of(f"{to.source}~{to.id}")
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
