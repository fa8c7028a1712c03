"""Markdown as lines for a terminal.

Whatever is written stays readable, also where it looks like Markdown and is none: tags, entities,
backslashes, link definitions and single line breaks are kept as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from io import StringIO

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from rich import box, markdown
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from fleetchatd.client.console.look import Look, folded, wrapped

LONGEST = 32 * 1024
"""Texts of more characters are shown as they are: it would take seconds."""

_STYLE = re.compile(r"\x1b\[[\d;]*m")
_AS_WRITTEN = ["html_block", "reference", "html_inline", "entity", "image"]
_THEME = Theme(
    {
        **{f"markdown.h{level}": "bold" for level in range(1, 8)},
        "markdown.code": "cyan",
        "markdown.code_block": "cyan",
        "markdown.block_quote": "none",
        "markdown.hr": "dim",
        "markdown.item.bullet": "none",
        "markdown.item.number": "none",
        "markdown.link": "none",
        "markdown.link_url": "underline",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)


def lines(text: str, columns: int, look: Look) -> list[str]:
    """`text` as lines, none of them wider than `columns`; as it is, if it would not be shown whole.

    For what Markdown leaves out (cells that a table has no column for, numbers that do not count
    on) may be what matters.
    """
    said = _letters(text)
    if not said or len(text) > LONGEST:
        return folded(text, columns)
    try:
        tokens = _parser().parse(text)
        shown = _rendered(_Markdown(tokens), columns, look)
    except Exception:  # the daemon would repeat a text that ends us, for ever
        return folded(text, columns)
    left_out = _letters(*(_language(token) for token in tokens))
    if not said - left_out <= _letters(*(_STYLE.sub("", line) for line in shown)):
        return folded(text, columns)
    return [piece for line in shown for piece in wrapped(line, columns)]


def _rendered(shown: _Markdown, columns: int, look: Look) -> list[str]:
    console = _console(look)
    with console.capture() as captured:
        console.print(shown, width=columns)
    # Cells are padded to their full width, which is a nuisance to whoever copies them.
    return [line.rstrip() for line in captured.get().rstrip().lstrip("\n").split("\n")]


def _letters(*texts: str) -> Counter[str]:
    return Counter(letter for text in texts for letter in text if letter.isalnum())


def _language(token: Token) -> str:
    """What stands behind a code fence, which needs not be shown."""
    return token.info if token.type == "fence" and token.content and " " not in token.info else ""


@cache
def _console(look: Look) -> Console:
    return Console(
        file=StringIO(),
        force_terminal=True,
        color_system="standard" if look.styled else None,
        no_color=not look.colour,
        theme=_THEME,
        highlight=False,
        legacy_windows=False,
    )


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt().enable("table").disable(_AS_WRITTEN)
    parser.inline.ruler.at("escape", _keep_backslash)
    return parser


def _keep_backslash(state: StateInline, silent: bool) -> bool:
    """A backslash takes away the meaning of what follows, and both are shown."""
    pair = state.src[state.pos : state.pos + 2]
    if len(pair) < 2 or pair[0] != "\\" or pair[1].isalnum() or pair[1].isspace():
        return False
    if not silent:
        state.pending += pair
    state.pos += 2
    return True


def _readable(tokens: Iterable[Token]) -> list[Token]:
    """The tokens as rich should show them: line breaks and the marks of code are kept."""
    shown: list[Token] = []
    for token in tokens:
        if token.type == "softbreak":
            token.type = "hardbreak"
        elif token.type == "code_inline":
            token.content = f"{token.markup}{token.content}{token.markup}"
        elif token.type == "inline":
            token.children = _readable(token.children or [])
        elif token.type == "link_close" and _says_its_target(shown[-2:]):
            del shown[-2]
            continue
        shown.append(token)
    return shown


def _says_its_target(link: list[Token]) -> bool:
    """Whether a link's text is where it leads, which need not be shown twice."""
    return len(link) == 2 and link[0].attrs.get("href") in (
        link[1].content,
        f"mailto:{link[1].content}",
    )


class _Heading(markdown.Heading):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class _Code(markdown.CodeBlock):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = Text(str(self.text).rstrip("\n"), "markdown.code_block", overflow="fold")
        yield Padding(code, (0, 0, 0, 2), expand=False)


class _Table(markdown.TableElement):
    """Cells are folded: rich would cut off what is too long."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, style="markdown.table.border")
        if self.header is not None and self.header.row is not None:
            for column in self.header.row.cells:
                heading = column.content.copy()
                heading.stylize("markdown.table.header")
                table.add_column(heading, overflow="fold")
        for row in self.body.rows if self.body is not None else ():
            table.add_row(*(element.content for element in row.cells))
        yield table


class _Markdown(markdown.Markdown):
    elements = markdown.Markdown.elements | {
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "table_open": _Table,
    }

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = _readable(tokens)
