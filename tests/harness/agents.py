"""Programs with a screen like an agent's, for panes: `Agent.command()` starts one in a terminal.

As a script it is the program itself, with the standard library alone:

    python agents.py KIND LOG     each text that it accepts becomes a line of JSON in LOG
"""

from __future__ import annotations

import json
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

SWALLOWED_S = 0.05
"""An Enter so soon after a paste counts as part of it, as with real agents."""

DEAF_TO = 4
"""How many Enters an agent of the kind `folding` takes no notice of."""

_PASTE = (b"\x1b[200~", b"\x1b[201~")


class Agent:
    """One such program as a test sees it.

    Kinds:
        prompt: raw, with bracketed paste; swallows an Enter that follows a paste too soon.
        framed: the same, its input in a frame, below what was said.
        deaf: the same as `prompt`, but Enter never does more than start a new line.
        folding: shows a paste as a mere note of it, and takes no notice of the first Enters.
        leaving: ends as soon as something is pasted.
        lines: takes a line at a time from a line-buffered terminal, without a prompt.
        slow: the same, and busy for a second or two after its start and after each line.
    """

    def __init__(self, kind: str, log: Path) -> None:
        self.kind = kind
        self.log = log

    def command(self) -> list[str]:
        """The words that start it."""
        return [sys.executable, "-I", __file__, self.kind, str(self.log)]

    def accepted(self) -> list[str]:
        """The texts that it took as inputs, in order."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]


class _Screen:
    """A raw terminal that is drawn anew with every key: what was said, then the input."""

    def __init__(self, kind: str, accept: Callable[[str], None]) -> None:
        self._kind = kind
        self._accept = accept
        self._said: list[str] = []
        self._draft = ""
        self._pasted_at = 0.0
        self._deaf_to = DEAF_TO

    def run(self) -> None:
        before = termios.tcgetattr(0)
        tty.setraw(0)
        _write("\x1b[?2004h")
        self._draw()
        for piece, pasted in _keys():
            if pasted and self._kind == "leaving":
                break
            self._take(piece, pasted)
            self._draw()
        _write("\x1b[?2004l")
        termios.tcsetattr(0, termios.TCSADRAIN, before)

    def _take(self, piece: str, pasted: bool) -> None:
        if pasted:
            self._draft += piece.replace("\r", "\n")
            self._pasted_at = time.monotonic()
            return
        for sign in piece:
            since_s = time.monotonic() - self._pasted_at
            if sign != "\r":
                self._draft += sign
            elif self._kind == "deaf" or since_s < SWALLOWED_S:
                self._draft += "\n"
            elif self._kind == "folding" and self._deaf_to:
                self._deaf_to -= 1
            else:
                self._accept(self._draft)
                self._said = [*self._said, *self._draft.split("\n")][-4:]
                self._draft = ""

    def _draw(self) -> None:
        columns = os.get_terminal_size().columns
        width = columns - 5
        shown = [f"you: {line}"[: columns // 2] for line in self._said]
        lines = self._draft.split("\n")
        if self._kind == "folding" and self._draft:
            lines = [f"[pasted: {len(self._draft)} signs]"]
        if self._kind == "framed":
            lines = [line[at : at + width] for line in lines for at in _starts(line, width)]
        marked = [f"{'  ' if number else '> '}{line}" for number, line in enumerate(lines)]
        end = ""
        if self._kind == "framed":
            end = f"\x1b[A\x1b[{2 + len(marked[-1])}G"  # the cursor back into the frame
            edge = "─" * (width + 2)
            marked = [f"╭{edge}╮", *(f"│{line:<{width + 2}}│" for line in marked), f"╰{edge}╯"]
        shown += marked
        _write("\x1b[2J\x1b[H" + "\r\n".join(shown) + end)


def _keys() -> Iterator[tuple[str, bool]]:
    """What is typed, and what is pasted."""
    data = b""
    while True:
        select.select([0], [], [])
        more = os.read(0, 65536)
        if not more:
            return
        data += more
        while data:
            before, begun, rest = data.partition(_PASTE[0])
            if before:
                yield before.decode(errors="replace"), False
            data = rest
            if not begun:
                break
            while _PASTE[1] not in data:
                data += os.read(0, 65536)
            pasted, _, data = data.partition(_PASTE[1])
            yield pasted.decode(errors="replace"), True


def _starts(line: str, width: int) -> range:
    return range(0, max(1, len(line)), width)


def _write(text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(1, data) :]


def _read_lines(accept: Callable[[str], None], busy_s: float) -> None:
    time.sleep(busy_s)
    for line in sys.stdin:
        accept(line.removesuffix("\n"))
        time.sleep(busy_s)


def _main(kind: str, log: str) -> None:
    def accept(text: str) -> None:
        with open(log, "a") as file:
            file.write(json.dumps(text) + "\n")

    if kind in ("lines", "slow"):
        _read_lines(accept, 2.0 if kind == "slow" else 0.0)
    else:
        _Screen(kind, accept).run()


if __name__ == "__main__":
    _main(*sys.argv[1:])
