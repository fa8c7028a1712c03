"""Writes the table of docs/explanation/guarantees.md: `python -m tools.guarantees_table`.

Its rows are those of tests/integration/kill_points.py, which the tests beside it die at.
"""

from __future__ import annotations

from pathlib import Path

from tests.integration import kill_points

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "guarantees.md"
BEGIN, END = "<!-- kill-points:begin -->\n", "<!-- kill-points:end -->"


def with_table(page: str) -> str:
    """The page with the present table in its place."""
    head, found, rest = page.partition(BEGIN)
    _, closed, tail = rest.partition(END)
    if not (found and closed):
        raise SystemExit(f"cannot write the table: {PAGE} has lost {BEGIN.strip()} or {END}")
    return f"{head}{BEGIN}{kill_points.table()}{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
