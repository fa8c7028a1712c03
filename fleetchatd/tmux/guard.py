"""What must never be typed into: shells, what may hide a shell, and the operator's console.

A message that a shell reads is a command that it runs. tmux names one process of a pane, by an
argv[0] that may lie; so all members of the pane's foreground process group are looked at, by what
the kernel calls them.

What cannot be told from here: a program that starts a shell within a terminal of its own without
being a `WRAPPER`, and a copy of a shell under another name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from fleetchatd.tmux.badge import OPTION, is_console
from fleetchatd.tmux.panes import Pane
from fleetchatd.tmux.processes import Stat, command_line, foreground

SHELL = re.compile(
    r"(a|ba|c|da|fi|k|lk|lok|mk|o|ok|pdk|po|pw|rba|rk|rz|sa|static-|tc|xon|ya|y|z)?sh"
    r"|busybox|elvish|es|hush|ion|ksh93|nu|oil|rc"
)
"""The names of shells."""

WRAPPER = re.compile(
    r"doas|login|newgrp|pkexec|run0|runuser|sg|su|sudo(-rs)?"  # other users
    r"|machinectl|systemd-(nspawn|run)"
    r"|autossh|et|mosh(-client)?|rlogin|rsh|slogin|ssh|telnet|adb|vagrant"  # other machines
    r"|apptainer|buildah|ctr|docker|incus|kubectl|lxc(-attach)?|nerdctl|nsenter|podman|singularity"
    r"|toolbox|distrobox(-enter)?"
    r"|abduco|dtach|dvtm|expect|minicom|picocom|rlwrap|screen|script|socat|tmux|unbuffer|zellij"
)
"""The names of programs that a shell may sit behind, in a terminal that cannot be seen."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why nothing may be typed into a pane now.

    Attributes:
        reason: half a sentence for a person.
        passing: whether it may be over in a moment.
    """

    reason: str
    passing: bool


@dataclass(frozen=True, slots=True)
class Program:
    """A process, by the names that it does not choose itself.

    Attributes:
        comm: what the kernel calls it, cut to 15 bytes (proc(5)).
        file: what its file is called; "" if that is hidden, as another user's is.
        started: orders programs by their start.
    """

    comm: str
    file: str
    started: tuple[int, int]

    @classmethod
    def of(cls, stat: Stat) -> Program:
        """What is known of a process."""
        file = ""
        with suppress(OSError):
            file = os.path.basename(os.readlink(f"/proc/{stat.pid}/exe"))
        return cls(stat.comm, file.removesuffix(" (deleted)"), (stat.start_time, stat.pid))

    def is_a(self, kind: re.Pattern[str]) -> bool:
        """Whether it goes by such a name; tmux calls its own client `tmux: client`."""
        # The file busybox is a hundred programs; only the kernel's name tells which.
        names = (self.comm.partition(":")[0], "" if self.file == "busybox" else self.file)
        return any(kind.fullmatch(name) for name in names)

    def __str__(self) -> str:
        if not self.file or self.file == self.comm:
            return self.comm
        return self.file if self.file.startswith(self.comm) else f"{self.comm} ({self.file})"


def objection(pane: Pane) -> Objection | None:
    """Why nothing may be typed into `pane` now; None if it may be."""
    if pane.dead:
        return Objection("its program has ended", passing=False)
    if pane.console is not None:
        return Objection("the operator's console runs in it, no agent", passing=False)
    if pane.badge is not None:
        unset = f"`tmux set-option -p -u -t {pane.id} {OPTION}` if another program runs in it now"
        return Objection(f"the operator's console ran in it and is gone; {unset}", passing=True)
    members = foreground(pane.pid)
    if any(is_console(command_line(one.pid)) for one in members):
        return Objection("the operator's console is just starting in it", passing=True)
    return judge(Program.of(one) for one in members)


def judge(programs: Iterable[Program]) -> Objection | None:
    """What is to be said against typing into a terminal that these programs may read."""
    members = list(programs)
    if not members:  # between two programs there may be none for a moment
        return Objection("no program is seen that reads its terminal", passing=True)
    others = [one for one in members if not one.is_a(SHELL)]
    if not others:
        return Objection(f"only a shell runs in it ({_named(members)})", passing=False)
    wrappers = [one for one in others if one.is_a(WRAPPER)]
    if not wrappers:
        return None
    # The one that came first started the others: a tool of the agent's own ends by itself.
    first = min(others, key=lambda one: one.started)
    reason = f"a shell may be behind {_named(wrappers)}, which runs in it"
    return Objection(reason, passing=first not in wrappers)


def _named(programs: Iterable[Program]) -> str:
    return ", ".join(sorted({str(one) for one in programs}))
