"""Writes the generated regions of docs/reference: `make reference`.

A region stands between `<!-- generated: NAME -->` and `<!-- end -->`; the name says what is
generated there. All else on a page is written by hand, and stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.reference import api, commands, roster

PAGES = Path(__file__).parents[2] / "docs" / "reference"

Regions = Mapping[str, Callable[[], str]]

_REGION = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def regions() -> Regions:
    """What can be generated, by name."""
    return commands.regions() | roster.regions() | api.regions()


def current(page: str, known: Regions) -> str:
    """The page as it has to be.

    Raises:
        KeyError: it has a region that nothing is generated for.
    """

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}{known[found[2]]()}{found[3]}"

    return _REGION.sub(fill, page)


def missing(known: Regions) -> list[str]:
    """What is generated and stands on no page."""
    named = [found[1] for page in PAGES.glob("*.md") for found in _REGION.findall(page.read_text())]
    return sorted(set(known) - set(named))


def main() -> None:
    """Write every page anew that is not current."""
    known = regions()
    for page in sorted(PAGES.glob("*.md")):
        before = page.read_text()
        after = current(before, known)
        if after != before:
            page.write_text(after)
            print(f"wrote {page}")
    for name in missing(known):
        print(f"no page has <!-- generated: {name} -->")


if __name__ == "__main__":
    main()
