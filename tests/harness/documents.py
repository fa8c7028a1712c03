"""What the documents tell people to type, for tests that type it.

A line before a block of code says how it is proven: `<!-- tested: NAME -->` names the test that
takes the block from the page and executes it, `<!-- untested: REASON -->` says why there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

from tests.harness.synapse_install import REPOSITORY

_MARKER = re.compile(r"<!-- (tested|untested): (.+?) -->\s*", re.DOTALL)


class Block(NamedTuple):
    """One block of code of a page; `tested` names a test, `untested` is a reason."""

    page: Path
    line: int
    language: str
    text: str
    tested: str | None
    untested: str | None

    @property
    def place(self) -> str:
        """`docs/how-to/operate.md:35`, the block's first line."""
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def pages() -> list[Path]:
    """README.md and all that is in docs/."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


@cache
def all_blocks() -> list[Block]:
    """Every block of code of every page, in the order of the pages."""
    return [block for page in pages() for block in _blocks(page)]


def tested_blocks(name: str) -> list[str]:
    """The blocks that a test has to execute, in their order.

    Raises:
        AssertionError: no page has a block for this test.
    """
    found = [block.text for block in all_blocks() if block.tested == name]
    assert found, f"no page says <!-- tested: {name} -->"
    return found


def _blocks(page: Path) -> Iterator[Block]:
    marker = None
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence" and token.map is not None:
            kind, says = marker.groups() if marker else ("", "")
            yield Block(
                page=page,
                line=token.map[0] + 1,
                language=token.info.strip(),
                text=token.content,
                tested=says if kind == "tested" else None,
                untested=" ".join(says.split()) if kind == "untested" else None,
            )
        marker = _MARKER.fullmatch(token.content) if token.type == "html_block" else None
