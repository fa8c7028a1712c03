"""The panes of a session, and which of them is the one to talk to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleetchatd.tmux import badge
from fleetchatd.tmux.badge import Badge

_FIELDS = {
    "id": "#{pane_id}",
    "pid": "#{pane_pid}",
    "tty": "#{pane_tty}",
    # A program calls itself what it likes: no tab and no line feed of it may be taken for ours.
    "command": "#{s/[\t\n]/?/:pane_current_command}",
    "badge": f"#{{s/[\t\n]/?/:{badge.OPTION}}}",
    "mode": "#{pane_in_mode}",
    "active": "#{&&:#{window_active},#{pane_active}}",
    "dead": "#{pane_dead}",
    "cursor": "#{cursor_x},#{cursor_y}",
    "size": "#{pane_width},#{pane_height}",
}
_BETWEEN = "\t"

FORMAT = _BETWEEN.join(_FIELDS.values())
"""What to ask `list-panes -F` or `display-message -p` for."""

ALIVE = "#{!=:#{pane_dead},1}"
"""A condition of tmux's own. Pasting into a dead pane ends the whole server (measured on 3.3a)."""


@dataclass(frozen=True, slots=True)
class Pane:
    """A pane as it stood a moment ago.

    Attributes:
        id: tmux's `%N`, which no other pane of the server ever gets.
        pid: its first process.
        tty: the path of its terminal.
        command: what tmux takes for the running command.
        badge: what it shows of a console; None if it shows nothing.
        in_mode: whether it is in copy mode or another one.
        active: whether it is the active pane of the active window.
        cursor: column and line, from 0.
        size: columns and lines.
    """

    id: str
    pid: int
    tty: str
    command: str
    badge: Badge | None
    in_mode: bool
    active: bool
    dead: bool
    cursor: tuple[int, int]
    size: tuple[int, int]

    @property
    def console(self) -> Badge | None:
        """The console that runs in it, if one does now."""
        return self.badge if self.badge is not None and self.badge.alive else None


def parse(line: str) -> Pane | None:
    """A pane out of a line in `FORMAT`; None if it is none."""
    values = line.split(_BETWEEN)
    if len(values) != len(_FIELDS):
        return None
    said = dict(zip(_FIELDS, values, strict=True))
    try:
        return Pane(
            id=said["id"],
            pid=int(said["pid"]),
            tty=said["tty"],
            command=said["command"],
            badge=badge.parse(said["badge"]),
            in_mode=said["mode"] not in ("", "0"),
            active=said["active"] == "1",
            dead=said["dead"] == "1",
            cursor=_pair(said["cursor"]),
            size=_pair(said["size"]),
        )
    except ValueError:
        return None


def parse_all(lines: Iterable[str]) -> list[Pane]:
    """The panes of an answer, dead ones left out."""
    found = (parse(line) for line in lines)
    return [pane for pane in found if pane is not None and not pane.dead]


def choose(panes: Sequence[Pane], before: str | None) -> Pane | None:
    """The pane to talk to: the console's, else the one used before, else where a console was.

    Without all of these it is the active one.

    Args:
        panes: those of the session.
        before: the id of the one that was used until now.
    """
    consoles = [pane for pane in panes if pane.console is not None]
    kept = [pane for pane in consoles or panes if pane.id == before]
    left = [pane for pane in panes if pane.badge is not None]
    active = [pane for pane in panes if pane.active]
    return next(iter([*kept, *consoles, *left, *active, *panes]), None)


def _pair(text: str) -> tuple[int, int]:
    first, _, second = text.partition(",")
    return int(first), int(second)
