"""Rows, verdicts and the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure against its target.

    Attributes:
        number: the row's number in the list of targets, as text ("1").
        measure: what was measured, with its unit.
        floor: what the smallest possible gateway reached when the targets were set.
        peer: what was measured beside it in this run, absolute.
        ours: the same of the daemon, absolute.
        value: the figure that is judged: a ratio, a difference, or absolute.
        target: its bound.
        at_least: whether more is better.
    """

    number: str
    measure: str
    floor: str
    peer: str
    ours: str
    value: float
    target: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target

    @property
    def verdict(self) -> str:
        if self.reached:
            return "reached"
        gap = self.target / self.value if self.at_least else self.value / self.target
        return f"missed by {(gap - 1) * 100:.0f} %" if self.target > 0 else "missed"

    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it."""
        sign = "≥" if self.at_least else "≤"
        return (
            self.number,
            self.measure,
            self.floor,
            self.peer,
            self.ours,
            f"{self.value:.3g}",
            f"{sign} {self.target:.3g}",
            self.verdict,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"reached": self.reached}


HEAD = ("#", "measure", "floor seen", "peer", "fleetchatd", "figure", "target", "verdict")


def render(rows: Iterable[Row]) -> str:
    """A Markdown table that also reads well on a terminal."""
    lines: Sequence[tuple[str, ...]] = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]

    def show(line: Sequence[str]) -> str:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        return f"| {' | '.join(cells)} |"

    rule = tuple("-" * width for width in widths)
    return "\n".join(show(line) for line in (lines[0], rule, *lines[1:]))
