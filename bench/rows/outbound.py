"""Rows 4 to 6: from a client's POST to the journal, and on to the homeserver."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from statistics import median

from bench.chat import HomeServer
from bench.gateway import Gateway
from bench.pairs import alternate
from bench.procs import BenchError
from bench.session import Session
from bench.table import Row
from bench.wire import load, post, post_message

TEXT = "the deploy is green, and so is the canary"
REQUEST = post_message(TEXT)
JSON_REQUEST = post("/json", json.dumps({"text": TEXT}).encode())
NOOPS = {"per_s": "a no-op aiohttp handler", "json_per_s": "one that reads and answers JSON"}
"""The targets do not say whether a no-op looks at its request; both are shown, and judged."""
CLIENTS = (16, 64)
SETTLE_S = 0.3
"""After the last delivery, for what the process still writes down about it."""


def accepts_held(session: Session) -> Iterator[Row]:
    """Row 4: the homeserver keeps every send waiting."""
    targets = {16: (".56", 0.5), 64: (".74", 0.65)}
    yield from _accepts(session, "4", "durable accepts/s", True, targets, ("1.8", 2.0))


def accepts_delivering(session: Session) -> Iterator[Row]:
    """Row 5: the same while what was accepted is delivered."""
    targets = {16: (".24", 0.2), 64: (".46", 0.4)}
    yield from _accepts(session, "5", "accepts/s while delivering", False, targets, ("2.5", 3.0))


def _accepts(
    session: Session,
    number: str,
    what: str,
    hold: bool,
    targets: Mapping[int, tuple[str, float]],
    single: tuple[str, float],
) -> Iterator[Row]:
    count = session.scaled(6_000)
    for clients in CLIENTS:
        pairs = alternate(
            session.pairs,
            lambda clients=clients: _accept_rate(session, clients, count, hold),  # type: ignore[misc]
            lambda clients=clients: _noop_rate(session, clients, count),  # type: ignore[misc]
        )
        floor, target = targets[clients]
        for name, noop in NOOPS.items():
            rates = pairs[name]
            yield Row(
                number,
                f"{what} ÷ {noop}, {clients} clients",
                floor,
                f"{rates.theirs:,.0f}/s",
                f"{rates.ours:,.0f}/s",
                rates.ratio,
                target,
                at_least=True,
            )
    one = alternate(
        session.pairs,
        lambda: _accept_rate(session, 1, session.scaled(2_000), hold),
        lambda: _commit_p50(session, session.scaled(2_000)),
    )["p50_ms"]
    yield Row(
        number,
        f"{what}: one client's p50 ÷ a single SQLite commit's",
        single[0],
        f"{one.theirs:.2f} ms",
        f"{one.ours:.2f} ms",
        one.ratio,
        single[1],
    )


def _accept_rate(session: Session, clients: int, count: int, hold: bool) -> Mapping[str, float]:
    with HomeServer() as home, Gateway(session, home) as gateway:
        home.tell("wait_poll")
        load(gateway.socket, REQUEST, clients, max(count // 10, clients))
        home.tell("hold", on=hold)
        before = _caught_up(home, gateway) if not hold else 0
        result = load(gateway.socket, REQUEST, clients, count)
        if not hold and home.tell("wait_puts", count=before + count) != before + count:
            raise BenchError("cannot accept the run: more sends than messages")
        return {
            "per_s": result.per_s,
            "json_per_s": result.per_s,
            "p50_ms": median(result.latencies_ms),
        }


def _caught_up(home: HomeServer, gateway: Gateway) -> int:
    """Wait until nothing is queued; return how many sends came so far."""
    while gateway.health()["outbox"]["queued"]:
        time.sleep(0.05)
    puts: int = home.tell("puts")
    return puts


def _noop_rate(session: Session, clients: int, count: int) -> Mapping[str, float]:
    path = str(session.sockets / "noop.sock")
    with session.peer("noop", path) as peer:
        peer.line()
        figures = {}
        for name, request in (("per_s", REQUEST), ("json_per_s", JSON_REQUEST)):
            load(path, request, clients, max(count // 10, clients))
            figures[name] = load(path, request, clients, count).per_s
        return figures


def _commit_p50(session: Session, count: int) -> Mapping[str, float]:
    with session.peer("commits", str(session.fresh_dir("commits"))) as peer:
        peer.line()
        peer.order(str(count))
        return {"p50_ms": float(peer.line())}


def delivery(session: Session) -> Iterator[Row]:
    """Row 6: CPU from accept to delivered, against nio's `room_send`."""
    targets = {1: ("1.9", 2.5), 16: ("1.0", 1.2), 64: (".9", 1.0)}
    count = session.scaled(3_200)
    for clients, (floor, target) in targets.items():
        pairs = alternate(
            session.pairs,
            lambda clients=clients: delivered_cpu(session, clients, count),  # type: ignore[misc]
            lambda clients=clients: _room_send_cpu(session, clients, count),  # type: ignore[misc]
        )["cpu_us"]
        yield Row(
            "6",
            f"CPU from accept to delivered ÷ nio's room_send, {clients} clients",
            floor,
            f"{pairs.theirs:.0f} µs",
            f"{pairs.ours:.0f} µs",
            pairs.ratio,
            target,
        )


def delivered_cpu(session: Session, clients: int, count: int) -> Mapping[str, float]:
    """The daemon's CPU for a message, from its POST to its event id in the journal, in µs."""
    with HomeServer() as home, Gateway(session, home) as gateway:
        return send_all(home, gateway, clients, count)


def send_all(home: HomeServer, gateway: Gateway, clients: int, count: int) -> Mapping[str, float]:
    """Send `count` messages, after a tenth to warm up, and wait until all are delivered."""
    home.tell("wait_poll")
    load(gateway.socket, REQUEST, clients, max(count // 10, clients))
    before = _caught_up(home, gateway)
    cpu = gateway.child.cpu_ns()
    result = load(gateway.socket, REQUEST, clients, count)
    home.tell("wait_puts", count=before + count)
    time.sleep(SETTLE_S)
    cpu = gateway.child.cpu_ns() - cpu
    if gateway.health()["outbox"]["queued"] or home.tell("puts") != before + count:
        raise BenchError(f"cannot accept the run: not {count} sends, or some still queued")
    return {"cpu_us": cpu / count / 1000, "p50_ms": median(result.latencies_ms)}


def _room_send_cpu(session: Session, clients: int, count: int) -> Mapping[str, float]:
    with (
        HomeServer() as home,
        session.peer("nio_send", home.url, str(clients), own_libraries=False) as peer,
    ):
        peer.line()
        for batch in (max(count // 10, clients), count):
            cpu = peer.cpu_ns()
            peer.order(str(batch))
            peer.line()
        return {"cpu_us": (peer.cpu_ns() - cpu) / count / 1000}
