"""Makes the manual pages from the reference: `python tools/man.py FOLDER`.

Needs nothing of fleetchatd but its documents and version, for it runs where a wheel is built, too
(hatch_build.py).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

from docutils.core import publish_string
from myst_parser.parsers.docutils_ import Parser

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
ROSTER = "The roster"
SEE_ALSO = ("fleetchat(1)", "fleetchat-roster(5)", "fleetchatd(8)", "systemd.service(5)", "tmux(1)")

_VERSION = re.compile(r'__version__ = "(.+)"')
_HEADING = re.compile(r"^##(?=#* )", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)", re.DOTALL)
_SYNOPSIS = re.compile(r"\A\s*(```.*?```)", re.DOTALL)
_LANGUAGE = re.compile(r"^```\w+$", re.MULTILINE)  # a page has no colours
_TABLE = re.compile(r"^\|.*\|\n\|[-| ]+\|\n(?:\|.*\|\n)+", re.MULTILINE)
_BAR = re.compile(r"(?<!\\)\|")


class Page(NamedTuple):
    """One manual page, and what it says of itself in a line."""

    name: str
    section: int
    summary: str
    text: str

    @property
    def file_name(self) -> str:
        """Where `man` looks for it, below share/man."""
        return f"man{self.section}/{self.name}.{self.section}"


def pages() -> list[Page]:
    """All of them."""
    daemon, roster = _daemon_and_roster((REFERENCE / "fleetchatd.md").read_text())
    client = _without_title((REFERENCE / "fleetchat.md").read_text())
    return [
        Page("fleetchatd", 8, "carries the talk of AI agents with their operator", daemon),
        Page("fleetchat", 1, "talks with the operator through fleetchatd", client),
        Page("fleetchat-roster", 5, "the fleet, and how its operator is reached", roster),
    ]


def write(folder: Path) -> list[Path]:
    """Write every page below `folder`, as `man8/fleetchatd.8`."""
    written = []
    for page in pages():
        path = folder / page.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(render(page))
        written.append(path)
    return written


def render(page: Page) -> bytes:
    """A page in roff."""
    head = f"""\
---
title: {page.name}
subtitle: {page.summary}
manual_section: {page.section}
manual_group: fleetchatd
version: {_version()}
---
"""
    others = ", ".join(one for one in SEE_ALSO if one != f"{page.name}({page.section})")
    body = f"{_for_man(page.text)}\n## See also\n\n{others}\n"
    text = f"{head}\n{_HEADING.sub('#', body)}"
    settings = {
        "myst_enable_extensions": ["deflist"],
        "output_encoding": "utf-8",
        "halt_level": 2,  # a warning is an error
    }
    made = publish_string(text, parser=Parser(), writer="manpage", settings_overrides=settings)
    assert isinstance(made, bytes)
    return made


def _daemon_and_roster(text: str) -> tuple[str, str]:
    daemon, found, rest = _without_title(text).partition(f"\n## {ROSTER}\n")
    if not found:
        raise SystemExit(f"cannot make fleetchat-roster(5): no section '{ROSTER}' in {REFERENCE}")
    roster, more, rest = rest.partition("\n## ")
    return daemon + more + rest, f"## Description\n{roster}"


def _without_title(text: str) -> str:
    return text.partition("\n")[2]


def _for_man(text: str) -> str:
    text = _SYNOPSIS.sub(r"## Synopsis\n\n\1\n\n## Description", text)
    text = _LINK.sub(r"\1", _LANGUAGE.sub("```", text))
    return _TABLE.sub(_as_list, text)


def _as_list(found: re.Match[str]) -> str:
    """A table of two columns as a list of terms, which fits any terminal."""
    head, _, *rows = [
        [cell.replace("\\|", "|").strip() for cell in _BAR.split(line)[1:-1]]
        for line in found[0].splitlines()
    ]
    if len(head) != 2:
        return found[0]
    named = head[0].startswith("`")  # it is about that, and not a list of such
    title = f"### {head[0]}\n\n{head[1]}\n\n" if named or not head[1] else ""
    return title + "\n\n".join(f"{term}\n: {meaning}" for term, meaning in rows) + "\n"


def _version() -> str:
    found = _VERSION.search((ROOT / "fleetchatd" / "__init__.py").read_text())
    assert found
    return found[1]


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])):
        print(path)
