"""The clients' side of the Unix socket: request bytes made beforehand, on raw sockets.

What these cost is never counted, but they must not be the bottleneck either, so nothing here
parses more than it needs.
"""

from __future__ import annotations

import json
import re
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.procs import PATIENCE_S, BenchError

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def connect(path: str) -> socket.socket:
    """A connected socket that gives up after `PATIENCE_S`.

    Connecting itself waits: without blocking, a full backlog would be an error (unix(7)).
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    connection.settimeout(PATIENCE_S)
    return connection


def get(target: str) -> bytes:
    """The bytes of a GET."""
    return f"GET {target} HTTP/1.1\r\nHost: fleetchat\r\n\r\n".encode()


def post(target: str, body: bytes) -> bytes:
    """The bytes of a POST."""
    head = f"POST {target} HTTP/1.1\r\nHost: fleetchat\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def post_message(text: str) -> bytes:
    """The bytes that send one message."""
    return post("/v1/messages", json.dumps({"text": text}).encode())


def _whole(data: bytes) -> bool:
    """Whether `data` is a complete answer with a Content-Length."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    found = _LENGTH.search(data, 0, end + 2)
    return len(data) >= end + 4 + (int(found[1]) if found else 0)


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send one request and return the whole answer."""
    connection.sendall(request)
    data = connection.recv(65536)
    while not _whole(data):
        more = connection.recv(65536)
        if not more:
            raise BenchError(f"cannot read an answer: the connection ended after {data[:200]!r}")
        data += more
    return data


def fetch(path: str, target: str) -> Any:
    """GET a JSON document on a connection of its own."""
    with connect(path) as connection:
        answer = exchange(connection, get(target))
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


@dataclass(frozen=True)
class Load:
    """What closed-loop clients achieved."""

    count: int
    elapsed_s: float
    latencies_ms: Sequence[float]

    @property
    def per_s(self) -> float:
        return self.count / self.elapsed_s


def load(path: str, request: bytes, clients: int, count: int, status: bytes = b"202") -> Load:
    """`clients` connections send `request` `count` times in all, each waiting for its answer."""
    sockets = {link.fileno(): link for link in (connect(path) for _ in range(clients))}
    poller = select.epoll()
    for number in sockets:
        poller.register(number, select.EPOLLIN)
    buffers = dict.fromkeys(sockets, b"")
    sent_at = dict.fromkeys(sockets, 0.0)
    latencies: list[float] = []
    clock = time.perf_counter
    start = clock()
    begun = 0
    for number, link in sockets.items():
        begun += 1
        sent_at[number] = clock()
        link.sendall(request)
    while len(latencies) < count:
        ready = poller.poll(PATIENCE_S)
        if not ready:
            raise BenchError("cannot finish the load: no answer came")
        for number, _ in ready:
            data = buffers[number] + sockets[number].recv(65536)
            if not _whole(data):
                buffers[number] = data
                continue
            buffers[number] = b""
            if data[9:12] != status:
                raise BenchError(f"cannot count an answer: expected {status!r}, got {data[:300]!r}")
            now = clock()
            latencies.append((now - sent_at[number]) * 1000)
            if begun < count:
                begun += 1
                sent_at[number] = now
                sockets[number].sendall(request)
    elapsed = clock() - start
    poller.close()
    for link in sockets.values():
        link.close()
    return Load(count, elapsed, latencies)


class Readers:
    """Many readers of an NDJSON stream, which count lines without parsing them."""

    def __init__(self, path: str, target: str, number: int) -> None:
        self._poller = select.epoll()
        self._sockets = {}
        self._counts: dict[int, int] = {}
        self._tails: dict[int, bytes] = {}
        for _ in range(number):
            link = connect(path)
            link.sendall(get(target))
            self._sockets[link.fileno()] = link
        for handle, link in self._sockets.items():
            data = link.recv(65536)
            while b"\r\n\r\n" not in data:
                data += link.recv(65536)
            if data[9:12] != b"200":
                raise BenchError(f"cannot subscribe: {data[:300]!r}")
            body = data.split(b"\r\n\r\n", 1)[1]
            self._counts[handle] = body.count(b"}\n")
            self._tails[handle] = body[-1:]
            self._poller.register(handle, select.EPOLLIN)

    def wait(self, lines: int, *, exactly: bool = True) -> int:
        """Read until each has had so many lines; return the monotonic time, in ns.

        With `exactly`, one more than that is an error.
        """
        short = {handle for handle, count in self._counts.items() if count < lines}
        while short:
            ready = self._poller.poll(PATIENCE_S)
            if not ready:
                got = min(self._counts.values())
                raise BenchError(f"cannot read {lines} lines: no more came after {got}")
            for handle, _ in ready:
                data = self._sockets[handle].recv(1 << 20)
                if not data:
                    raise BenchError(f"cannot read {lines} lines: the stream has ended")
                self._counts[handle] += (self._tails[handle] + data).count(b"}\n")
                self._tails[handle] = data[-1:]
                if self._counts[handle] >= lines:
                    short.discard(handle)
        for handle, count in self._counts.items():
            if exactly and count > lines:
                raise BenchError(f"cannot accept the run: reader {handle} got {count} > {lines}")
        self._counts = dict.fromkeys(self._counts, 0)
        return time.monotonic_ns()

    def close(self) -> None:
        self._poller.close()
        for link in self._sockets.values():
            link.close()


def lines_of(connection: socket.socket) -> Iterator[bytes]:
    """The lines of a chunked NDJSON answer whose head has been read, empty ones left out."""
    with connection.makefile("rb") as stream:
        rest = b""
        while size := int(stream.readline().split(b";")[0] or b"0", 16):
            rest += stream.read(size)
            stream.readline()
            *whole, rest = rest.split(b"\n")
            yield from filter(None, whole)


def subscribe(path: str, target: str) -> socket.socket:
    """Open a stream and read exactly its response head."""
    link = connect(path)
    link.sendall(get(target))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = link.recv(1)
        if not byte:
            raise BenchError(f"cannot subscribe: the connection ended after {head!r}")
        head += byte
    if head[9:12] != b"200":
        raise BenchError(f"cannot subscribe: {head!r}")
    return link
