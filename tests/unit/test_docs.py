"""What the documents say of the program is there, and what they say to type is typed by a test."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from fleetchatd.__main__ import _parser
from fleetchatd.client.main import COMMANDS
from tests.harness.documents import all_blocks, pages
from tests.harness.synapse_install import REPOSITORY

PAGES = pages()
PACKAGE = REPOSITORY / "fleetchatd"
LINK = re.compile(r"\]\(([^)#\s]+)")
COMMAND = re.compile(r"(?m)(?:`|^\s*)(?:\.venv/bin/)?fleetchat ([a-z]+)")
INVISIBLE = {"__init__.py"}
NOT_TYPED = ("", "text")
"""Languages of blocks that are only shown: output, drawings, synopses."""

SENTENCE = re.compile(r"[A-Z`](?:\S*\s+){4,}\S*\.")


def name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def links(page: Path) -> set[Path]:
    """The files of this repository that a page links to."""
    targets = LINK.findall(page.read_text())
    return {(page.parent / target).resolve() for target in targets if "://" not in target}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [str(target) for target in links(page) if not target.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    assert set(COMMAND.findall(page.read_text())) <= set(COMMANDS)


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = {PAGES[0]}
    while ahead:
        page = ahead.pop()
        reached.add(page)
        ahead |= {target for target in links(page) if target.suffix == ".md"} - reached
    assert [name(page) for page in PAGES if page not in reached] == []


def test_every_module_has_its_place_in_the_architecture() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", text))
    modules = {path.name for path in PACKAGE.glob("*.py")} - INVISIBLE
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert modules <= named
    assert {folder for folder in folders if not any(folder in entry for entry in named)} == set()
    places = {entry for entry in named if not (REPOSITORY / entry).exists()}
    assert [entry for entry in places if not (PACKAGE / entry).exists()] == []


@pytest.mark.parametrize("kind", ["discord", "matrix"])
def test_every_module_of_a_connector_has_its_place_too(kind: str) -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    modules = {path.stem for path in (PACKAGE / "connectors" / kind).glob("[!_]*.py")}
    assert {module for module in modules if f"`{module}`" not in text} == set()


def test_every_option_of_the_daemon_is_in_its_reference() -> None:
    text = (REPOSITORY / "docs" / "reference" / "fleetchatd.md").read_text()
    options = {option for action in _parser()._actions for option in action.option_strings}
    assert {option for option in options - {"-h", "--help"} if option not in text} == set()


@cache
def executed() -> set[str]:
    """The names of all test functions whose file asks for the blocks that are marked with them."""
    files = (REPOSITORY / "tests").rglob("test_*.py")
    return {name for file in files for name in _executed_in(file)}


def _executed_in(file: Path) -> set[str]:
    text = file.read_text()
    if "tested_blocks" not in text:
        return set()
    nodes = list(ast.walk(ast.parse(text)))
    functions = {
        node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    asked = {
        node.args[0].value
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "tested_blocks"
        and isinstance(node.args[0], ast.Constant)
    }
    return {name for name in functions & asked if name.startswith("test_")}


def test_every_block_that_is_typed_says_how_it_is_proven() -> None:
    silent = [
        block.place
        for block in all_blocks()
        if block.language not in NOT_TYPED and not block.tested and not block.untested
    ]
    assert silent == [], "put <!-- tested: NAME --> or <!-- untested: REASON --> before these"


def test_every_block_that_is_called_tested_is_executed_by_that_test() -> None:
    wrong = [
        f"{block.place}: {block.tested}"
        for block in all_blocks()
        if block.tested and block.tested not in executed()
    ]
    assert wrong == [], 'no test of that name whose file calls tested_blocks("NAME")'


def test_every_reason_not_to_test_is_a_sentence() -> None:
    empty = [
        f"{block.place}: {block.untested}"
        for block in all_blocks()
        if block.untested and not SENTENCE.fullmatch(block.untested)
    ]
    assert empty == [], "say in a sentence why no test can execute it"
