"""How the demo looks: a line for each thing that has arrived."""

from __future__ import annotations

import os
import sys
import time
import unicodedata

COLOURS = {"ann": "36", "mos": "33", "note": "1", "dim": "2", "good": "32", "bad": "31"}


class Screen:
    """Standard output, in colours where a person looks at it."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._began = time.monotonic()

    def heard(self, who: str, whom: str, text: str, what: str, took_s: float | None) -> None:
        """Show that what `who` said has arrived at `whom`, and how long it took on the way."""
        first, *more = text.splitlines()
        about = what if took_s is None else f"{what}  {took_s * 1000:.0f} ms".lstrip()
        arrow = self._in("dim", "──▶")
        said = first + " " * (56 - columns(first))
        self._line(f"{self._in(who, who)} {arrow} {whom}  {said} {self._in('dim', about)}")
        for line in more:
            print(f"{'':>21}{line}", flush=True)

    def note(self, sentence: str, colour: str = "note") -> None:
        """Say what is being done."""
        self._line(self._in(colour, sentence))

    def _line(self, text: str) -> None:
        elapsed = f"{time.monotonic() - self._began:6.2f}"
        print(f"{self._in('dim', elapsed)}  {text}".rstrip(), flush=True)

    def _in(self, colour: str, text: str) -> str:
        return f"\033[{COLOURS[colour]}m{text}\033[0m" if self._colour and text else text


def columns(text: str) -> int:
    """How wide a terminal shows it: an emoji takes two columns."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
