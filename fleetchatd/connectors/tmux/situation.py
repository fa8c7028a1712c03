"""What is in the operator's pane, and what can be promised for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fleetchatd.model import HealthStatus
from fleetchatd.tmux import badge
from fleetchatd.tmux.panes import Pane


class Occupant(StrEnum):
    """Who reads what is typed into the pane."""

    CONSOLE = "console"
    NOBODY = "nobody"
    """A console was here, or is just starting: what is meant for it waits."""
    PROGRAM = "program"
    UNSAFE = "unsafe"
    """A shell, or something that may be one: nothing is ever typed into it."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The occupant of the pane, and what health says of that.

    Attributes:
        ready: whether messages may be tried: a console that is not there is waited for.
    """

    occupant: Occupant
    status: HealthStatus
    ready: bool
    detail: str | None


def situation(pane: Pane, unsafe: str | None, *, stranger: bool = False) -> Situation:
    """How things stand.

    Args:
        pane: as it stood at the last look.
        unsafe: why nothing may be typed into what runs there, if so.
        stranger: whether the console there is not connected with us, and has had the time to be.
    """
    if pane.console is not None and stranger:
        return Situation(
            Occupant.NOBODY,
            "degraded",
            ready=False,
            detail=f"the console in pane {pane.id} is not connected with fleetchatd: it hangs, or "
            "was started for another state directory; messages wait: start `fleetchat console` "
            "there again",
        )
    if pane.console is not None:
        return Situation(Occupant.CONSOLE, "ok", ready=True, detail=None)
    if pane.badge is not None:
        starting = pane.badge == badge.parse(badge.STARTING)
        gone = "has not started yet" if starting else "has ended"
        return Situation(
            Occupant.NOBODY,
            "degraded",
            ready=False,
            detail=f"the console in pane {pane.id} {gone}; messages wait for it: run "
            "`fleetchat console` there",
        )
    if unsafe is not None:
        return Situation(
            Occupant.UNSAFE,
            "degraded",
            ready=True,
            detail=f"nothing is typed into pane {pane.id}: {unsafe}; messages fail until "
            "`fleetchat console` or another program runs there",
        )
    return Situation(
        Occupant.PROGRAM,
        "ok",
        ready=True,
        detail=f"pane {pane.id} runs {pane.command or 'a program'}, not the console: its screen is "
        "read, where tabs and rare characters may have changed and what was cleared is lost, and "
        "it may take several lines for several inputs",
    )
