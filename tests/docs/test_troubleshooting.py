"""What the page on troubles quotes is what the program says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.docs.shell import Newcomer
from tests.harness.documents import tested_blocks
from tests.harness.rosters import write_roster
from tests.harness.synapse_install import REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "troubleshooting.md"
HOLE = "\0"


def quotes() -> list[str]:
    """What stands in the first column as code: sentences that somebody sees."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    first = [row.split("|")[1] for row in rows]
    quoted = [quote for cell in first for quote in re.findall(r"`([^`]+)`", cell)]
    return [quote for quote in quoted if " " in quote and not quote.startswith("fleetchat ")]


def said() -> Iterator[str]:
    """Every text in the program, with a hole where something is filled in."""
    for file in (REPOSITORY / "fleetchatd").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else HOLE
                    for part in node.values
                )


TEXTS = sorted(set(said()))


@pytest.mark.parametrize("quote", quotes())
def test_what_is_quoted_is_what_the_program_says(quote: str) -> None:
    pieces = [re.escape(piece) for piece in re.split(r"\s*…\s*", quote) if piece]
    wanted = re.compile(".*".join(pieces), re.DOTALL)
    assert any(wanted.search(text) for text in TEXTS)


async def test_the_first_questions_of_troubleshooting_are_answered(newcomer: Newcomer) -> None:
    write_roster(newcomer.home / "roster.yaml", "memory")
    newcomer.env["FLEETCHATD_ROSTER"] = str(newcomer.home / "roster.yaml")
    newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    (typed,) = tested_blocks("test_the_first_questions_of_troubleshooting_are_answered")
    answer = await newcomer.type(typed)
    assert " 0 errors" in answer
    assert "receiving" in answer
