"""The reference is what the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from fleetchatd import __main__ as daemon
from fleetchatd.client import errors
from fleetchatd.roster import parse_roster
from tests.harness.documents import tested_blocks
from tests.harness.synapse_install import REPOSITORY
from tools.reference.__main__ import PAGES, current, missing, regions

REFUSALS = ("RequestError", "bad_request", "unprocessable", "not_found")
KIND = re.compile(r"[a-z]+(-[a-z]+)*")


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=attrgetter("name"))
def test_the_generated_reference_is_current(page: Path) -> None:
    text = page.read_text()
    assert current(text, regions()) == text, "run `make reference`"


def test_everything_that_can_be_generated_stands_in_the_reference() -> None:
    assert missing(regions()) == [], "put <!-- generated: … --> and <!-- end --> on a page"


def test_the_reference_has_every_kind_of_problem() -> None:
    text = (PAGES / "api.md").read_text().partition("## Problems")[2].partition("\n## ")[0]
    told = {
        word
        for row in text.splitlines()
        if row.startswith("| `") and row.count("|") == 3
        for word in re.findall(r"`([a-z-]+)`", row.split("|")[1])
    } - {"kind"}
    assert told == set(kinds_in_code())


def kinds_in_code() -> Iterator[str]:
    """The kinds that the API's modules refuse with, defaults included."""
    for file in (REPOSITORY / "fleetchatd" / "api").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield from _texts(node.args[1:]) if node.func.id in REFUSALS else ()
            elif isinstance(node, ast.FunctionDef) and node.name in REFUSALS:
                yield from _texts(node.args.defaults)


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    yield from (one for one in values if isinstance(one, str) and KIND.fullmatch(one))


def test_the_roster_of_the_reference_loads() -> None:
    (block,) = tested_blocks("test_the_roster_of_the_reference_loads")
    head = "version: 1\ntransport: tmux\nagents: [{name: mos, runtime: claude}]\n"
    assert parse_roster((head + block).encode(), "roster.yaml").connector_kind == "matrix"


def test_the_reference_has_every_exit_code() -> None:
    assert {0, 1, daemon.EX_CONFIG, daemon.EX_TEMPFAIL} == codes("fleetchatd.md")
    known = {
        one.exit_code
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.ClientError)
    }
    assert known <= codes("fleetchat.md")


def codes(page: str) -> set[int]:
    text = (PAGES / page).read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    return {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
