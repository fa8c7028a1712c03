"""Writes the tables of docs/explanation/guarantees.md: `python -m tools.guarantees_table`.

Their rows are those of tests/integration/kill_points.py and tmux_kill_points.py, which the tests
beside them die at.
"""

from __future__ import annotations

from pathlib import Path

from tests.integration import kill_points, tmux_kill_points

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "guarantees.md"
BEGIN, END = "<!-- kill-points:begin -->\n", "<!-- kill-points:end -->"


def with_table(page: str) -> str:
    """The page with the present tables in their place."""
    head, found, rest = page.partition(BEGIN)
    _, closed, tail = rest.partition(END)
    if not (found and closed):
        raise SystemExit(f"cannot write the tables: {PAGE} has lost {BEGIN.strip()} or {END}")
    tables = f"{kill_points.table()}\n{tmux_kill_points.table()}"
    return f"{head}{BEGIN}{tables}{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
