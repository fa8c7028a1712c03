"""Rows 9 and 14: how long it takes to start, the client and the daemon."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.chat import HomeServer
from bench.gateway import Gateway
from bench.homeserver import BOT, ROOM_ID
from bench.journals import LARGE, SMALL, copy_of
from bench.pairs import alternate
from bench.procs import BenchError, ReadySocket, clean_env
from bench.session import PEERS, Session
from bench.table import Row

TEXT = "the deploy is green"
SENDS = 10


def client(session: Session) -> Iterator[Row]:
    """Row 9: one whole process from start to exit, message accepted."""
    with HomeServer() as home, Gateway(session, home) as gateway:
        ours = [*session.client_argv, "send", "--socket", gateway.socket, TEXT]
        post = [sys.executable, "-I", "-S", str(PEERS / "post.py"), gateway.socket, TEXT]
        commander = _matrix_commander(session, home)
        for argv in (ours, post, commander):  # compiles what is compiled once
            _wall_ms(argv)
        one = alternate(session.pairs, lambda: _sends(ours), lambda: _sends(post))["wall_ms"]
        two = alternate(
            session.pairs,
            lambda: {"wall_ms": _wall_ms(ours)},
            lambda: {"wall_ms": _wall_ms(commander)},
        )["wall_ms"]
    rows = (
        (one, "`python -I -S` with http.client", ".69 with a raw socket and argparse", 0.9),
        (two, "matrix-commander", "", 1 / 12),
    )
    for pairs, peer, floor, target in rows:
        yield Row(
            "9",
            f"`fleetchat send` wall time ÷ {peer}",
            floor,
            f"{pairs.theirs:.1f} ms",
            f"{pairs.ours:.1f} ms",
            pairs.ratio,
            target,
        )


def _sends(argv: Sequence[str]) -> Mapping[str, float]:
    return {"wall_ms": median(_wall_ms(argv) for _ in range(SENDS))}


def _wall_ms(argv: Sequence[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        argv, env=clean_env(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    elapsed = time.perf_counter() - start
    if done.returncode:
        raise BenchError(f"cannot time {argv[0]}: exit {done.returncode}: {done.stderr[-500:]!r}")
    return elapsed * 1000


def _matrix_commander(session: Session, home: HomeServer) -> list[str]:
    """matrix-commander sending one message, logged in already, in its quickest way."""
    folder = session.fresh_dir("commander")
    (folder / "store").mkdir()
    credentials = folder / "credentials.json"
    login = {"homeserver": home.url, "user_id": BOT, "device_id": "BENCH", "access_token": "t"}
    credentials.write_text(json.dumps(login | {"room_id": ROOM_ID}))
    program = session.peers_python.parent / "matrix-commander"
    files = ["--credentials", str(credentials), "--store", str(folder / "store")]
    return [str(program), *files, "--sync", "off", "--message", TEXT]


def daemon(session: Session) -> Iterator[Row]:
    """Row 14: from the start of the process to READY=1."""
    _start_ms(session, None)
    _bare_start_ms(session)
    bare = alternate(
        session.pairs, lambda: _start_ms(session, None), lambda: _bare_start_ms(session)
    )["start_ms"]
    yield Row(
        "14",
        "start until READY ÷ a bare aiohttp process that listens",
        "",
        f"{bare.theirs:.0f} ms",
        f"{bare.ours:.0f} ms",
        bare.ratio,
        1.6,
    )
    large, small = copy_of(session, LARGE), copy_of(session, SMALL)
    extra = alternate(
        4 * session.pairs, lambda: _start_ms(session, large), lambda: _start_ms(session, small)
    )["start_ms"]
    yield Row(
        "14",
        "start until READY, extra with a million messages, ms",
        "0",
        f"{extra.theirs:.0f} ms",
        f"{extra.ours:.0f} ms",
        extra.difference,
        10,
    )


def _start_ms(session: Session, state: Path | None) -> Mapping[str, float]:
    with HomeServer() as home, Gateway(session, home, state) as gateway:
        return {"start_ms": gateway.start_ms}


def _bare_start_ms(session: Session) -> Mapping[str, float]:
    ready = ReadySocket()
    path = str(session.sockets / "bare.sock")
    started = time.monotonic_ns()
    try:
        with session.peer("noop", path, env={"NOTIFY_SOCKET": ready.path}):
            return {"start_ms": (ready.wait() - started) / 1e6}
    finally:
        ready.close()
