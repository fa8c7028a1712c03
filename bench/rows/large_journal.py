"""Row 13: whether a journal of a million messages is slower than one of a thousand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

from bench.chat import HomeServer
from bench.gateway import Gateway
from bench.journals import LARGE, SMALL, copy_of
from bench.pairs import alternate
from bench.rows.inbound import STREAM, push
from bench.rows.outbound import REQUEST, send_all
from bench.session import Session
from bench.table import Row
from bench.wire import Readers, load

CLIENTS = 16
CATCH_UPS = 60
STRETCH = 500
"""Events read in one catch-up: as many as the small journal can give, from the large one too."""


def large_journal(session: Session) -> Iterator[Row]:
    """Row 13. Every run goes on with the journals of the one before."""
    large, small = copy_of(session, LARGE), copy_of(session, SMALL)
    figures = alternate(
        session.pairs, lambda: _figures(session, large), lambda: _figures(session, small)
    )
    rows = (
        ("send_ms", "send p50", ".9", 1.2, "ms"),
        ("send_us", f"CPU per send at {CLIENTS} clients", "1.5", 1.7, "µs"),
        ("catch_up", "catch-up rate", "1", 0.8, "events/s"),
        ("inbound_us", "inbound CPU per event, batches of 100", "2.2", 2.4, "µs"),
    )
    for name, what, floor, target, unit in rows:
        pairs = figures[name]
        yield Row(
            "13",
            f"{what}, a million messages ÷ a thousand",
            floor,
            f"{pairs.theirs:,.2f} {unit}" if pairs.theirs < 100 else f"{pairs.theirs:,.0f} {unit}",
            f"{pairs.ours:,.2f} {unit}" if pairs.ours < 100 else f"{pairs.ours:,.0f} {unit}",
            pairs.ratio,
            target,
            at_least=name == "catch_up",
        )


def _figures(session: Session, state: Path) -> Mapping[str, float]:
    with HomeServer() as home, Gateway(session, home, state) as gateway:
        home.tell("wait_poll")
        catch_up = _catch_up(gateway)
        one = load(gateway.socket, REQUEST, 1, session.scaled(1_000))
        sends = send_all(home, gateway, CLIENTS, session.scaled(3_200))
        readers = Readers(gateway.socket, STREAM, 1)
        inbound = push(home, gateway.child, readers.wait, 100, session.scaled(10_000))
        return {
            "send_ms": median(one.latencies_ms),
            "send_us": sends["cpu_us"],
            "catch_up": catch_up,
            "inbound_us": inbound["cpu_us"],
        }


def _catch_up(gateway: Gateway) -> float:
    """Events a second of readers that come back and read a stretch of what they missed."""
    last: int = gateway.health()["journal"]["last_seq"]
    elapsed = 0.0
    for number in range(CATCH_UPS):
        after = number * (last - STRETCH) // CATCH_UPS
        start = time.perf_counter()
        readers = Readers(gateway.socket, f"/v1/events?after={after}", 1)
        readers.wait(STRETCH, exactly=False)
        elapsed += time.perf_counter() - start
        readers.close()
    return STRETCH * CATCH_UPS / elapsed
