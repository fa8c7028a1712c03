"""Rows 15 to 18: the operator's console in tmux.

The bare round trip beside the latencies is a key that is sent through control mode to a program
that echoes it, until control mode tells of the echo. "Floor seen" is what a prototype reached; the
smallest gateway (`--floor`) knows no tmux, and has no such rows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from bench.pairs import percentile
from bench.panes import Console
from bench.procs import BenchError, cpu_ns, memory_kib
from bench.session import Session
from bench.table import Row
from bench.wire import connect, exchange, lines_of, post, subscribe

WORDS = 60
BURST = 500
CALM_S = 1.0
PAUSE_S = 0.02
WINDOW_S = 20.0
MESSAGES = "/v1/events?types=message"
ENDS = "/v1/events?types=delivery"


def latency(session: Session) -> Iterator[Row]:
    """Rows 15 and 16: in, from Enter to the event; out, from the request to confirmed."""
    if session.floor:
        return
    rounds: list[Mapping[str, list[float]]] = []
    with Console(session) as console:
        _out(console, session.pairs)  # what the console loads for its first message
        time.sleep(CALM_S)
        for number in range(session.pairs):
            takes = {"bare": _bare, "in": _in, "out": _out}
            order = list(takes) if number % 2 == 0 else list(reversed(takes))
            rounds.append({name: takes[name](console, number) for name in order})
    yield _row("15", "tmux: from Enter to the event", rounds, "in", 0.5, 20)
    yield _row("15", "tmux: from Enter to the event", rounds, "in", 0.99, 25)
    yield _row("16", "tmux: from the request to confirmed by the console", rounds, "out", 0.5, 23)
    yield _row("16", "tmux: from the request to confirmed by the console", rounds, "out", 0.99, 25)


def _row(
    number: str,
    measure: str,
    rounds: Sequence[Mapping[str, list[float]]],
    name: str,
    share: float,
    target_ms: float,
) -> Row:
    """The figure that is judged is absolute; its multiple of the bare round trip stands beside."""
    figure = percentile([value for one in rounds for value in one[name]], share)
    bare = percentile([value for one in rounds for value in one["bare"]], share)
    times = median(percentile(one[name], share) / percentile(one["bare"], share) for one in rounds)
    shown = f"{figure:.1f} ms, {times:.1f} times the bare one"
    measure, seen = f"{measure}, p{share * 100:.0f}, ms", f"{target_ms:g} ms"
    return Row(number, measure, seen, f"{bare:.2f} ms", shown, figure, target_ms)


def _bare(console: Console, number: int) -> list[float]:
    taken = []
    for count in range(WORDS):
        time.sleep(PAUSE_S)
        key = f"k{number}-{count}."
        start = time.perf_counter()
        console.bare.type(key)
        console.bare.until_shown(key)
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def _in(console: Console, number: int) -> list[float]:
    taken = []
    with subscribe(console.daemon.socket, MESSAGES) as link:
        events = lines_of(link)
        for count in range(WORDS):
            text = f"in {number} {count}"
            console.keyboard.type(text)
            time.sleep(PAUSE_S)
            start = time.perf_counter()
            console.keyboard.enter()
            event = json.loads(next(events))
            taken.append((time.perf_counter() - start) * 1000)
            if event["text"] != text:
                raise BenchError(f"cannot accept the run: {event['text']!r} instead of {text!r}")
    return taken


def _out(console: Console, number: int) -> list[float]:
    taken = []
    with connect(console.daemon.socket) as link:
        for count in range(WORDS):
            time.sleep(PAUSE_S)
            body = json.dumps({"text": f"out {number} {count}"}).encode()
            start = time.perf_counter()
            answer = exchange(link, post("/v1/messages?wait_s=30", body))
            taken.append((time.perf_counter() - start) * 1000)
            if b'"delivered"' not in answer:
                raise BenchError(f"cannot accept the run: {answer[-300:]!r}")
    return taken


def burst(session: Session) -> Iterator[Row]:
    """Row 17. Every run also checks that all came, in order, once."""
    if session.floor:
        return
    with Console(session) as console:
        figures = [(_burst_in(console), _burst_out(console)) for _ in range(session.pairs)]
    for what, figure, target_s in (
        ("typed lines until the last is an event", median(one[0] for one in figures), 1.1),
        ("requests until the last is confirmed", median(one[1] for one in figures), 5.5),
    ):
        measure = f"tmux: {BURST} {what}, s"
        yield Row("17", measure, f"{target_s:g} s", "", f"{figure:.2f} s", figure, target_s)


def _burst_in(console: Console) -> float:
    texts = [f"burst {count}" for count in range(BURST)]
    with subscribe(console.daemon.socket, MESSAGES) as link:
        events = lines_of(link)
        start = time.perf_counter()
        for text in texts:
            console.keyboard.type(text)
            console.keyboard.enter()
        _check(texts, [json.loads(next(events))["text"] for _ in texts])
        elapsed = time.perf_counter() - start
    return elapsed


def _burst_out(console: Console) -> float:
    with (
        subscribe(console.daemon.socket, ENDS) as link,
        connect(console.daemon.socket) as requests,
    ):
        ends = lines_of(link)
        start = time.perf_counter()
        accepted = []
        for count in range(BURST):
            body = json.dumps({"text": f"burst {count}"}).encode()
            answer = exchange(requests, post("/v1/messages", body))
            accepted.append(json.loads(answer.split(b"\r\n\r\n", 1)[1])["id"])
        told = [json.loads(next(ends)) for _ in accepted]
        elapsed = time.perf_counter() - start
    if {end["state"] for end in told} != {"delivered"}:
        raise BenchError("cannot accept the run: not all were delivered")
    _check(accepted, [end["id"] for end in told])
    return elapsed


def _check(wanted: Sequence[str], got: Sequence[str]) -> None:
    if list(wanted) != list(got):
        raise BenchError(
            f"cannot accept the run: {len(wanted)} expected in order, once each; {len(got)} came, "
            f"{len(set(got))} of them different"
        )


def idle(session: Session) -> Iterator[Row]:
    """Row 18: console, connection and a reader are open, and nothing is said. MB are 10^6 bytes."""
    if session.floor:
        return
    with Console(session) as console:
        pids = (console.daemon.child.pid, console.pid)
        reader = subscribe(console.daemon.socket, "/v1/events?subscriber=mos")
        _in(console, 0)
        memory = {"that has heard nothing": _resident_mb(console)}
        _out(console, 0)
        time.sleep(CALM_S)
        before = [cpu_ns(pid) for pid in pids]
        time.sleep(WINDOW_S)
        after = [cpu_ns(pid) for pid in pids]
        memory["with Markdown loaded"] = _resident_mb(console)
        reader.close()
    for who, one, other in zip(("the daemon", "the console"), before, after, strict=True):
        figure = (other - one) / 1e6 / WINDOW_S
        measure = f"tmux: CPU of {who} with nothing to do, ms/s"
        yield Row("18", measure, "0.0 %", "", f"{figure:.3f} ms/s", figure, 0.2)
    for when, figure in memory.items():
        measure = f"tmux: memory of a console {when}, MB"
        yield Row("18", measure, "30 MB", "", f"{figure:.1f} MB", figure, 30)


def _resident_mb(console: Console) -> float:
    return memory_kib(console.pid, "VmRSS") * 1024 / 1e6
