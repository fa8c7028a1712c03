"""A person who answers the questions of `fleetchat init` and `login`, at a terminal."""

from __future__ import annotations

from tests.harness.home import Home
from tests.harness.tmux import Terminal, Tmux

_CHOICES = "(Use arrow keys)"
"""Stands behind a question that lists choices, until it is answered."""

_ENDED = "ended with"


class Person:
    """Types what they are asked for, and looks before they type."""

    def __init__(self, pane: Terminal) -> None:
        self.pane = pane

    @classmethod
    async def types(cls, home: Home, tmux: Tmux, command: str) -> Person:
        """One who has just typed a command."""
        pane = await home.terminal(tmux)
        await pane.submit(f"{command}; echo {_ENDED} $?")
        return cls(pane)

    async def answers(self, question: str, text: str) -> None:
        """Answer a question, which ends so, and is the last thing that is shown."""
        await self._is_asked(question)
        await self.pane.submit(text)

    async def chooses(self, question: str, choice: str) -> None:
        """Go to a choice with the arrow keys, and take it."""

        def asked(shown: str) -> bool:
            return _CHOICES in shown and question in shown.rpartition(_CHOICES)[0].splitlines()[-1]

        shown = await self.pane.until(f"{question!r} asked", asked)
        lines = shown.rpartition(_CHOICES)[2].splitlines()[1:]
        place = next(number for number, line in enumerate(lines) if choice in line)
        await self.pane.keys(*["Down"] * place, "Enter")

    async def presses(self, question: str, key: str) -> None:
        """Press a key where a question is asked."""
        await self._is_asked(question)
        await self.pane.keys(key)

    async def reads(self, text: str, *, times: int = 1) -> None:
        await self.pane.shows(text, times=times)

    async def sees_it_end(self, code: int) -> str:
        """Wait for the command's end, and return all that the terminal shows."""
        return await self.pane.shows(f"{_ENDED} {code}")

    async def _is_asked(self, question: str) -> None:
        def asked(shown: str) -> bool:
            return shown.rstrip().endswith(question)

        await self.pane.until(f"{question!r} asked", asked)
