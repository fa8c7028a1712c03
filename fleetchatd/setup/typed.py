"""The commands that remedies name, as they must be typed here: with the places that were named.

A remedy names a command as it is typed where everything is in its usual place.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

_COMMAND = re.compile(r"\bfleetchat (?:(login) [a-z]+|(retry|cancel) ID|([a-z]+))\b")
"""A command with what it is for, as far as remedies name that."""

_TAKES: dict[str, Sequence[str]] = {
    "init": ("roster", "state_dir"),
    "login": ("roster", "state_dir"),
    "reload": ("socket",),
    "health": ("socket",),
    "history": ("socket",),
    "retry": ("socket",),
    "cancel": ("socket",),
    "unsubscribe": ("socket",),
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are, if not in their usual places."""

    roster: str | None = None
    state_dir: str | None = None
    socket: str | None = None

    def options(self, names: Sequence[str]) -> str:
        """The options that lead there, to be put behind a command."""
        named = [(name, value) for name in names if (value := getattr(self, name))]
        return "".join(f" --{name.replace('_', '-')} {shlex.quote(value)}" for name, value in named)

    def typed(self, remedy: str) -> str:
        """A remedy with the options in it that its commands need."""
        return _COMMAND.sub(lambda found: found[0] + self._options_of(found), remedy)

    def _options_of(self, command: re.Match[str]) -> str:
        return self.options(_TAKES.get(command[command.lastindex or 0], ()))
