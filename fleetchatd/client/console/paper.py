"""The terminal: a prompt that stays below what is printed, and survives a resize."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Point, Size
from prompt_toolkit.layout.screen import Screen
from prompt_toolkit.output.vt100 import Vt100_Output

_NO_CHANGE = "\x1b[0m"

_ERASE_DOWN = "\x1b[K\x1b[C\x1b[J\r"
"""Erases from the first column on. Where `\\x1b[J` begins at the first cell of all, tmux would keep
what it erases as history."""


class Paper(Vt100_Output):
    """Writes to the terminal; several steps may become one write, so that nothing flickers."""

    def __init__(self, stdout: TextIO) -> None:
        # No questions where the cursor is: their answers would come among the keys.
        super().__init__(stdout, self._size, os.environ.get("TERM"), enable_cpr=False)
        self._held = False

    def _size(self) -> Size:
        columns, lines = os.get_terminal_size(self.stdout.fileno())
        return Size(rows=lines or 24, columns=columns or 80)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is written within goes out as one."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self.flush()

    def erase_down(self) -> None:
        """Erase the line the cursor is at the start of, and all below it."""
        self.write_raw(_ERASE_DOWN)

    def disable_bracketed_paste(self) -> None:
        """Nothing in the midst of a page that is drawn anew: a paste may come at any time."""
        if not self._held:
            super().disable_bracketed_paste()

    def flush(self) -> None:
        """Write out what has come together, unless more belongs to it."""
        if not self._held:
            super().flush()


class Page(Application[None]):
    """An application below what was printed, always in raw mode.

    prompt_toolkit's own ways of printing above a prompt make the terminal cooked meanwhile, and
    lines that come fast are merged then.
    """

    @property
    def columns(self) -> int:
        """How wide the pane is."""
        return self.output.get_size().columns

    def above(self, lines: Iterable[str]) -> None:
        """Print lines above the prompt; once this returns, the terminal has them."""
        with self._paper.at_once():
            self._follow_wraps()
            self.renderer.erase()
            self.output.write_raw("".join(f"{line}\r\n" for line in lines))
            if not self.key_processor.input_queue:  # in a burst, once behind all of it is enough
                self._redraw()

    def nudge(self) -> None:
        """Write something that changes nothing, for who waits for output."""
        self.output.write_raw(_NO_CHANGE)
        self.output.flush()

    def _on_resize(self) -> None:
        with self._paper.at_once():
            self._follow_wraps()
            super()._on_resize()

    def _follow_wraps(self) -> None:
        """Find out how far the prompt begins above the cursor, if the pane has another width now.

        tmux has wrapped its lines anew then. Its first lines would stay behind as litter.
        """
        screen, cursor = self.renderer.last_rendered_screen, self.renderer._cursor_pos
        if screen is not None:
            lines = lines_above(cursor, _used(screen), self.columns)
            self.output.write_raw("\r")
            self.renderer._cursor_pos = Point(x=0, y=lines)

    @property
    def _paper(self) -> Paper:
        assert isinstance(self.output, Paper)
        return self.output


def lines_above(cursor: Point, used: Callable[[int], int], columns: int) -> int:
    """How many lines of a prompt stand above the cursor once they are wrapped to `columns`.

    Args:
        cursor: where it stood, from the first line of the prompt.
        used: how many columns of a line were in use.
        columns: how wide the pane is now.
    """
    above = sum(max(1, -(-used(line) // columns)) for line in range(cursor.y))
    # Behind the end of a line, the cursor follows the end.
    return above + max(0, min(cursor.x, used(cursor.y) - 1)) // columns


def _used(screen: Screen) -> Callable[[int], int]:
    def used(line: int) -> int:
        row = screen.data_buffer[line]
        return max((at + cell.width for at, cell in row.items() if cell.char != " "), default=0)

    return used
