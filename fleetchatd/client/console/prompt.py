"""The prompt, the line that is being typed, and the state of things below it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.application import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory
from prompt_toolkit.layout import Dimension, HSplit, Layout, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.processors import TabsProcessor
from prompt_toolkit.styles import BaseStyle, Style
from prompt_toolkit.utils import get_cwidth
from prompt_toolkit.widgets import SearchToolbar

from fleetchatd.client import output
from fleetchatd.client.console.look import Look, shortened

SIGN = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
TALLEST = 12
"""How many lines of a draft are shown at once; a taller prompt would push what was said away."""

Words = Callable[[], str]


class History(FileHistory):
    """What was sent before, for its owner's eyes alone."""

    def __init__(self, file: Path) -> None:
        with suppress(OSError):
            file.touch(mode=0o600)
        super().__init__(file)

    def store_string(self, string: str) -> None:
        """Keep it; a disk that refuses is no reason to stop, what was said is in the spool."""
        with suppress(OSError):
            super().store_string(string)


def layout(draft: Buffer, tag: Callable[[], str | None], state: Words) -> Layout:
    """The prompt with `draft` in it.

    Args:
        draft: what is being typed.
        tag: the thread it will go to.
        state: what the line below says.
    """
    search = SearchToolbar()
    text = Window(
        BufferControl(
            draft,
            search_buffer_control=search.control,
            preview_search=True,
            input_processors=[TabsProcessor(char1=" ", char2=" ")],
        ),
        get_line_prefix=lambda line, wrap: _before(tag(), first=line == wrap == 0),
        wrap_lines=True,
        dont_extend_height=True,
        height=lambda: Dimension(
            min=1, max=max(1, min(TALLEST, get_app().output.get_size().rows // 2))
        ),
    )
    below = Window(FormattedTextControl(state), style="class:state", height=1)
    return Layout(HSplit([text, search, below]), focused_element=text)


def style(look: Look) -> BaseStyle:
    """How its parts look."""
    return Style.from_dict({"sign": "bold", "state": "dim"} if look.styled else {})


def _before(tag: str | None, *, first: bool) -> StyleAndTextTuples:
    """What stands before a line of the draft: the sign, and below it as much room."""
    third = get_app().output.get_size().columns // 3
    shown = "" if tag is None else shortened(output.line(f"#{tag}"), max(third, 2)) + " "
    words = shown + SIGN
    return [("class:sign", words)] if first else [("", " " * get_cwidth(words))]
