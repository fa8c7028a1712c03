"""How a pane shows that the operator's console runs in it: the pane option `@fleetchat_console`.

    1:4711:88305    the console, process 4711, started at that tick of the machine's clock
    0:0:0           a console is being started here
    0:0:1           the operator has left the console
    (unset)         whatever runs here is not the console

An option that names no process that runs means that the console died, or was left: what was meant
for it must wait, and never be typed into the shell that may have taken its place.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from fleetchatd.tmux.processes import start_time

OPTION = "@fleetchat_console"
STARTING = "0:0:0"
LEFT = "0:0:1"


@dataclass(frozen=True, slots=True)
class Badge:
    """Whose console it is."""

    pid: int
    started: int

    @classmethod
    def own(cls) -> Badge:
        """This process's."""
        return cls(os.getpid(), start_time(os.getpid()) or 0)

    @property
    def alive(self) -> bool:
        """Whether the process still runs; its number may have been given to another meanwhile."""
        return self.pid > 0 and start_time(self.pid) == self.started

    def value(self) -> str:
        """As the option holds it."""
        return f"1:{self.pid}:{self.started}"


def is_console(command: Sequence[str]) -> bool:
    """Whether these words start a console."""
    return "console" in command and any("fleetchat" in os.path.basename(one) for one in command)


def parse(value: str) -> Badge | None:
    """The badge in an option's value; None if the pane wears none."""
    if not value:
        return None
    numbers = value.split(":")
    if len(numbers) != 3 or not all(number.isdecimal() and len(number) < 19 for number in numbers):
        return Badge(0, 0)  # somebody else's idea of it: nobody's console is alive there
    return Badge(int(numbers[1]), int(numbers[2]))
