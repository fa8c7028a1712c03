"""Row 12: a gap in the room's timeline, against a bare client that pages and commits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from statistics import median

from bench.chat import HomeServer
from bench.gateway import Gateway
from bench.pairs import alternate
from bench.procs import BenchError
from bench.rows.inbound import STREAM
from bench.session import Session
from bench.table import Row
from bench.wire import lines_of, subscribe

SHOWN = 10
"""What the limited answer itself holds, as on a real homeserver."""
SETTLE_S = 0.3


def gap(session: Session) -> Iterator[Row]:
    """Row 12. Every run also checks that all came, in order, once."""
    count = session.scaled(10_000)
    peaks: list[float] = []

    def measured() -> Mapping[str, float]:
        figures = _ours(session, count)
        peaks.append(figures["peak_mb"])
        return figures

    cpu = alternate(session.pairs, measured, lambda: _bare(session, count))["cpu_ms"]
    yield Row(
        "12",
        f"CPU for a gap of {count:,} events ÷ a bare client; all, in order, once",
        "174 ms",
        f"{cpu.theirs:.0f} ms",
        f"{cpu.ours:.0f} ms",
        cpu.ratio,
        1.8,
    )
    peak = median(peaks)
    yield Row("12", "peak memory while it is filled, MB", "+20", "", f"{peak:+.1f} MB", peak, 25)


def _ours(session: Session, count: int) -> Mapping[str, float]:
    with HomeServer() as home, Gateway(session, home) as gateway:
        home.tell("wait_poll")
        link = subscribe(gateway.socket, STREAM)
        child = gateway.child
        child.reset_peak()
        before, cpu = child.rss_kib(), child.cpu_ns()
        home.tell("open_gap", count=count)
        texts = []
        with link:
            for line in lines_of(link):
                texts.append(json.loads(line)["text"])
                if texts[-1] == "last":
                    break
        time.sleep(SETTLE_S)
        cpu = child.cpu_ns() - cpu
        _check(texts, count)
        return {"cpu_ms": cpu / 1e6, "peak_mb": (child.peak_kib() - before) * 1024 / 1e6}


def _check(texts: list[str], count: int) -> None:
    hidden = [f"hidden {number}" for number in range(count)]
    shown = [f"shown {number}" for number in range(SHOWN - 1)]
    if texts != [*hidden, *shown, "last"]:
        raise BenchError(
            f"cannot accept the run: {count + SHOWN} events expected in order, once each; "
            f"{len(texts)} came, {len(set(texts))} of them different"
        )


def _bare(session: Session, count: int) -> Mapping[str, float]:
    with HomeServer() as home, session.peer("pages", home.url, str(session.fresh_dir("p"))) as peer:
        peer.line()
        home.tell("wait_poll")
        cpu = peer.cpu_ns()
        home.tell("open_gap", count=count)
        if int(peer.line()) != count + SHOWN:
            raise BenchError("cannot accept the run: the bare client did not get all")
        time.sleep(SETTLE_S)
        return {"cpu_ms": (peer.cpu_ns() - cpu) / 1e6}
