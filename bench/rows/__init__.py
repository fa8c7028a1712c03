"""The rows of the table, grouped by the flow they measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.rows import fanout, gap, inbound, large_journal, memory, outbound, starts, tmux
from bench.session import Session
from bench.table import Row

MEASURES: tuple[tuple[tuple[str, ...], Callable[[Session], Iterable[Row]]], ...] = (
    (("1", "2"), inbound.throughput),
    (("3",), inbound.latency),
    (("4",), outbound.accepts_held),
    (("5",), outbound.accepts_delivering),
    (("6",), outbound.delivery),
    (("7",), memory.resident),
    (("8",), memory.idle_cpu),
    (("9",), starts.client),
    (("10",), fanout.fan_out),
    (("11",), memory.readers_memory),
    (("12",), gap.gap),
    (("13",), large_journal.large_journal),
    (("14",), starts.daemon),
    (("15", "16"), tmux.latency),
    (("17",), tmux.burst),
    (("18",), tmux.idle),
)
"""Which function gives which rows, in the order they are measured."""
