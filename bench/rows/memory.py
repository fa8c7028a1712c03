"""Rows 7, 8 and 11: what the daemon takes while little happens."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from statistics import median

from bench.chat import HomeServer
from bench.gateway import Gateway
from bench.journals import LARGE, SMALL, copy_of
from bench.pairs import alternate
from bench.rows.inbound import STREAM
from bench.session import Session
from bench.table import Row
from bench.wire import Readers

CALM_S = 1.0
WINDOW_S = 5.0


def resident(session: Session) -> Iterator[Row]:
    """Row 7. MB are 10^6 bytes."""
    count = session.scaled(100_000)
    idle, growth = zip(
        *(_idle_and_grown(session, count) for _ in range(session.pairs)), strict=True
    )
    figure = median(idle)
    yield Row("7", "resident memory idle, MB", "40", "", f"{figure:.1f} MB", figure, 55)
    figure = median(growth)
    what = f"its growth after {count:,} events, MB"
    yield Row("7", what, "+12", "", f"{figure:+.1f} MB", figure, 15)
    pairs = alternate(session.pairs, lambda: _with(session, LARGE), lambda: _with(session, SMALL))
    yield Row(
        "7",
        "effect of a journal of a million messages on it, MB",
        "+2",
        f"{pairs['mb'].theirs:.1f} MB",
        f"{pairs['mb'].ours:.1f} MB",
        pairs["mb"].difference,
        5,
    )


def _mb(kib: float) -> float:
    return kib * 1024 / 1e6


def _idle_and_grown(session: Session, count: int) -> tuple[float, float]:
    with HomeServer() as home, Gateway(session, home) as gateway:
        home.tell("wait_poll")
        time.sleep(CALM_S)
        idle = gateway.child.rss_kib()
        readers = Readers(gateway.socket, STREAM, 1)
        home.tell("prepare", count=count, batch=100)
        home.tell("push")
        readers.wait(count)
        time.sleep(CALM_S)
        return _mb(idle), _mb(gateway.child.rss_kib() - idle)


def _with(session: Session, size: int) -> Mapping[str, float]:
    with HomeServer() as home, Gateway(session, home, copy_of(session, size)) as gateway:
        home.tell("wait_poll")
        time.sleep(CALM_S)
        return {"mb": _mb(gateway.child.rss_kib())}


def idle_cpu(session: Session) -> Iterator[Row]:
    """Row 8: a long poll and a reader are open, and nothing is said."""
    with HomeServer() as home, Gateway(session, home) as gateway:
        readers = Readers(gateway.socket, "/v1/events?subscriber=mos", 1)
        home.tell("wait_poll")
        time.sleep(CALM_S)
        figures = []
        for _ in range(session.pairs):
            cpu = gateway.child.cpu_ns()
            time.sleep(WINDOW_S)
            figures.append((gateway.child.cpu_ns() - cpu) / 1e6 / WINDOW_S)
        readers.close()
    figure = median(figures)
    yield Row("8", "CPU with nothing to do, ms/s", "0", "", f"{figure:.3f} ms/s", figure, 0.2)


def readers_memory(session: Session) -> Iterator[Row]:
    """Row 11. KB are 1000 bytes."""
    number = 1_000
    figures = []
    for _ in range(session.pairs):
        with HomeServer() as home, Gateway(session, home) as gateway:
            home.tell("wait_poll")
            warm = Readers(gateway.socket, STREAM, 10)
            time.sleep(CALM_S)
            before = gateway.child.rss_kib()
            readers = Readers(gateway.socket, STREAM, number)
            time.sleep(CALM_S)
            figures.append((gateway.child.rss_kib() - before) * 1.024 / number)
            readers.close()
            warm.close()
    figure = median(figures)
    yield Row("11", "memory per idle reader, KB", "9", "", f"{figure:.1f} KB", figure, 10)
