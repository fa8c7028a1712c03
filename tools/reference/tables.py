"""Tables in Markdown, of two columns: what a manual page shows as a list of terms."""

from __future__ import annotations

from collections.abc import Iterable


def table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    """A table, or nothing where there are no rows."""
    lines = [_row(*row) for row in rows]
    return "".join([_row(*head), "|---|---|\n", *lines]) if lines else ""


def code(text: str) -> str:
    """Text as it is typed."""
    return f"`{text}`"


def _row(term: str, meaning: str) -> str:
    return f"| {_cell(term)} | {_cell(meaning)} |\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
