"""Commands in the middle of a sentence: no test types them, but each has to exist."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.harness.documents import pages
from tools.reference.__main__ import regions

PROGRAMS = ("fleetchat", "fleetchatd")
REFERENCE = {name: made() for name, made in regions().items() if name.split()[0] in PROGRAMS}
DECISIONS = "adr"  # these tell what was considered, too


def commands(page: Path) -> Iterator[list[str]]:
    """What stands as code in a text or a table, and begins with one of our programs."""
    for token in MarkdownIt().enable("table").parse(page.read_text()):
        for child in token.children or []:
            words = child.content.split() if child.type == "code_inline" else []
            if len(words) > 1 and words[0] in PROGRAMS:
                yield words


@pytest.mark.parametrize(
    "page", [page for page in pages() if page.parent.name != DECISIONS], ids=attrgetter("name")
)
def test_every_command_and_option_in_a_sentence_exists(page: Path) -> None:
    for program, command, *rest in commands(page):
        own = REFERENCE[program]
        if command.islower() and not command.startswith("-"):
            own += REFERENCE[f"{program} {command}"]
        options = [word for word in (command, *rest) if word.startswith("--")]
        unknown = [option for option in options if f"`{option}" not in own and option != "--help"]
        assert not unknown, (command, unknown)
