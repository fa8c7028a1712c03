"""What runs in a pane, by proc(5): tmux itself names one process, by an argv[0] that may lie."""

from __future__ import annotations

import os
from typing import NamedTuple


class Stat(NamedTuple):
    """What `/proc/PID/stat` says, as far as it matters here."""

    pid: int
    comm: str
    group: int
    foreground_group: int
    start_time: int


def stat(pid: int) -> Stat | None:
    """A process's stat; None if there is no such process (or only its remains)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    # The name in parentheses may hold blanks and parentheses itself.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    if len(fields) < 20 or fields[0] in "ZX":
        return None
    return Stat(
        pid=pid,
        comm=head.partition("(")[2],
        group=int(fields[2]),
        foreground_group=int(fields[5]),
        start_time=int(fields[19]),
    )


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is no such process."""
    found = stat(pid)
    return None if found is None else found.start_time


def command_line(pid: int) -> list[str]:
    """The words that a process was started with; none if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().split("\0")[:-1]
    except OSError:
        return []


def foreground(pane_pid: int) -> list[Stat]:
    """The processes that read a pane's terminal now: its foreground process group.

    Args:
        pane_pid: tmux's `#{pane_pid}`, the first process of the pane.
    """
    first = stat(pane_pid)
    if first is None or first.foreground_group <= 0:
        return []
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    found = (stat(pid) for pid in pids)
    return [one for one in found if one is not None and one.group == first.foreground_group]
