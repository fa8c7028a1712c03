"""The rows of the table, grouped by the flow they measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.rows import inbound
from bench.session import Session
from bench.table import Row

MEASURES: tuple[tuple[tuple[str, ...], Callable[[Session], Iterable[Row]]], ...] = (
    (("1", "2"), inbound.throughput),
    (("3",), inbound.latency),
)
"""Which function gives which rows, in the order they are measured."""
