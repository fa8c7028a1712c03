"""What the documents say of the program is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleetchatd.__main__ import _parser
from fleetchatd.client.main import COMMANDS
from tests.harness.synapse_install import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
PACKAGE = REPOSITORY / "fleetchatd"
LINK = re.compile(r"\]\(([^)#\s]+)")
COMMAND = re.compile(r"(?m)(?:`|^\s*)(?:\.venv/bin/)?fleetchat ([a-z]+)")
INVISIBLE = {"__init__.py"}


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
