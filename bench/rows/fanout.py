"""Row 10: what one more reader costs, against a shared log of encoded lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from bench.chat import HomeServer
from bench.gateway import Gateway
from bench.pairs import alternate
from bench.procs import Child
from bench.rows.inbound import STREAM
from bench.session import Session
from bench.table import Row
from bench.wire import Readers

FURTHER = 100
PACED = 150
PER_S = 50
FLAT_OUT = 20_000
BATCH = 100
SETTLE_S = 0.2

Feed = Callable[[str, int], None]
"""Starts events ("pace" or "push", how many) without waiting for them."""


def fan_out(session: Session) -> Iterator[Row]:
    """Row 10. The cost of the events themselves is taken off by counting with one reader too."""
    pairs = alternate(session.pairs, lambda: _ours(session), lambda: _shared_log(session))
    rows = (
        ("pace", "paced", "12 to 19 µs", 1.2),
        ("push", f"flat out at {FURTHER} readers", "0.3 µs", 2.0),
    )
    for name, how, floor, target in rows:
        figures = pairs[name]
        yield Row(
            "10",
            f"CPU per event and further reader ÷ a shared log, {how}",
            floor,
            f"{figures.theirs:.2f} µs",
            f"{figures.ours:.2f} µs",
            figures.ratio,
            target,
        )


def _ours(session: Session) -> Mapping[str, float]:
    with HomeServer() as home, Gateway(session, home) as gateway:

        def feed(order: str, count: int) -> None:
            home.tell("wait_poll")
            if order == "pace":
                home.begin("pace", count=count, per_s=PER_S)
            else:
                home.tell("prepare", count=count, batch=BATCH)
                home.begin("push")

        return _further(session, gateway.child, gateway.socket, feed, home.done)


def _shared_log(session: Session) -> Mapping[str, float]:
    path = str(session.sockets / "log.sock")
    with session.peer("shared_log", path) as peer:
        peer.line()

        def feed(order: str, count: int) -> None:
            peer.order(f"{order} {count} {PER_S if order == 'pace' else BATCH}")

        return _further(session, peer, path, feed, peer.line)


def _further(
    session: Session, child: Child, path: str, feed: Feed, done: Callable[[], object]
) -> Mapping[str, float]:
    """CPU per event and further reader, in µs, for either way of feeding."""
    counts = {"pace": session.scaled(PACED), "push": session.scaled(FLAT_OUT)}
    costs: dict[str, list[int]] = {name: [] for name in counts}
    for number in (1, 1 + FURTHER):
        readers = Readers(path, STREAM, number)
        for name, count in counts.items():
            feed(name, count // 10)  # to warm up
            readers.wait(count // 10)
            done()
            cpu = child.cpu_ns()
            feed(name, count)
            readers.wait(count)
            done()
            time.sleep(SETTLE_S)
            costs[name].append(child.cpu_ns() - cpu)
        readers.close()
        time.sleep(SETTLE_S)
    return {
        name: (many - one) / counts[name] / FURTHER / 1000 for name, (one, many) in costs.items()
    }
