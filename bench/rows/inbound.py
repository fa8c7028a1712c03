"""Rows 1 to 3: from the homeserver to a reader, against matrix-nio's bare callback."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median

from bench.chat import HomeServer
from bench.gateway import Gateway
from bench.pairs import alternate, percentile
from bench.procs import BenchError, Child
from bench.session import Session
from bench.table import Row
from bench.wire import Readers, lines_of, subscribe

STREAM = "/v1/events?types=message"
EVENTS = {1: 4_000, 10: 15_000, 100: 40_000}
CPU_TARGET = {1: 0.7, 10: 0.45, 100: 0.25}
CPU_FLOOR = {1: ".49", 10: ".39", 100: ".17"}
RATE_TARGET = {1: 1.3, 10: 1.8, 100: 3.5}
RATE_FLOOR = {1: "1.9", 10: "2.1", 100: "4.9"}
PER_S = 50
SETTLE_S = 0.2
"""After the last line, for what the process still does for it (lazy commits, the next poll)."""


def throughput(session: Session) -> Iterator[Row]:
    """Rows 1 and 2."""
    for batch, full in EVENTS.items():
        count = session.scaled(full)
        pairs = alternate(
            session.pairs,
            lambda batch=batch, count=count: ours(session, batch, count),  # type: ignore[misc]
            lambda batch=batch, count=count: nio(session, batch, count),  # type: ignore[misc]
        )
        cpu, rate = pairs["cpu_us"], pairs["per_s"]
        yield Row(
            "1",
            f"inbound CPU per event ÷ nio, batches of {batch}",
            CPU_FLOOR[batch],
            f"{cpu.theirs:.0f} µs",
            f"{cpu.ours:.0f} µs",
            cpu.ratio,
            CPU_TARGET[batch],
        )
        yield Row(
            "2",
            f"inbound events/s ÷ nio, batches of {batch}",
            RATE_FLOOR[batch],
            f"{rate.theirs:,.0f}/s",
            f"{rate.ours:,.0f}/s",
            rate.ratio,
            RATE_TARGET[batch],
            at_least=True,
        )


def ours(session: Session, batch: int, count: int) -> Mapping[str, float]:
    """The daemon, journal and one reader included."""
    with HomeServer() as home, Gateway(session, home) as gateway:
        readers = Readers(gateway.socket, STREAM, 1)
        return push(home, gateway.child, readers.wait, batch, count)


def nio(session: Session, batch: int, count: int) -> Mapping[str, float]:
    """matrix-nio: it prints a line when its callback had the last event."""
    with HomeServer() as home, session.peer("nio_inbound", home.url, own_libraries=False) as peer:

        def wait(_: int) -> int:
            peer.line()
            return time.monotonic_ns()

        return push(home, peer, wait, batch, count)


def push(
    home: HomeServer, child: Child, wait: Callable[[int], int], batch: int, count: int
) -> Mapping[str, float]:
    """Push `count` events, after a tenth to warm up; `wait` returns when they all came, in ns."""
    for events_now in (max(count // 10, batch), count):
        home.tell("wait_poll")
        home.tell("prepare", count=events_now, batch=batch)
        cpu, start = child.cpu_ns(), time.monotonic_ns()
        home.tell("push")
        elapsed = wait(events_now) - start
        time.sleep(SETTLE_S)
        cpu = child.cpu_ns() - cpu
    return {"cpu_us": cpu / count / 1000, "per_s": count / elapsed * 1e9}


def latency(session: Session) -> Iterator[Row]:
    """Row 3. An event's time is taken when it is due, so a receiver that is late pays for it."""
    count = session.scaled(500)
    syncs: list[float] = []

    def measured() -> Mapping[str, float]:
        syncs.append(fdatasync_p99(session, session.scaled(500)))
        with HomeServer() as home, Gateway(session, home) as gateway:
            return summary(our_latencies(home, gateway, count))

    def peer() -> Mapping[str, float]:
        with (
            HomeServer() as home,
            session.peer("nio_inbound", home.url, own_libraries=False) as child,
        ):
            home.tell("wait_poll")
            home.begin("pace", count=count, per_s=PER_S)
            found: list[float] = json.loads(child.line())
            home.done()
            return summary(found)

    pairs = alternate(session.pairs, measured, peer)
    p50, p99, sync = pairs["p50"], pairs["p99"], median(syncs)
    yield Row(
        "3",
        "latency at 50 events/s minus nio's, p50, ms",
        "+0.8",
        f"{p50.theirs:.2f} ms",
        f"{p50.ours:.2f} ms",
        p50.difference,
        1.2,
    )
    yield Row(
        "3",
        f"latency p99, ms (target: nio's + fdatasync p99 {sync:.2f} + 2)",
        "4.7 against 3.7",
        f"{p99.theirs:.2f} ms",
        f"{p99.ours:.2f} ms",
        p99.ours,
        p99.theirs + sync + 2,
    )


def our_latencies(home: HomeServer, gateway: Gateway, count: int) -> list[float]:
    """From the server to a reader of the socket, in ms."""
    home.tell("wait_poll")
    link = subscribe(gateway.socket, STREAM)
    home.begin("pace", count=count, per_s=PER_S)
    found = []
    with link:
        for line in lines_of(link):
            now = time.monotonic_ns()
            text = json.loads(line)["text"]
            found.append((now - int(text[2:].split()[0])) / 1e6)
            if text.endswith("last"):
                break
    home.done()
    if len(found) != count:
        raise BenchError(f"cannot accept the run: {count} events sent, {len(found)} read")
    return found


def summary(latencies: list[float]) -> Mapping[str, float]:
    return {"p50": median(latencies), "p99": percentile(latencies, 0.99)}


def fdatasync_p99(session: Session, count: int) -> float:
    """What the disk takes for an append of 4 KiB and its fdatasync, p99, in ms."""
    path = session.fresh_dir("sync") / "file"
    times = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    for _ in range(count):
        os.write(handle, b"x" * 4096)
        start = time.perf_counter()
        os.fdatasync(handle)
        times.append((time.perf_counter() - start) * 1000)
        time.sleep(0.01)
    os.close(handle)
    return percentile(times, 0.99)
