"""A daemon that says what a test has written down, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Answer = bytes | Callable[["Line"], None]
COMMAND = [sys.executable, "-m", "fleetchatd.client.main"]


@dataclass(frozen=True)
class Request:
    """A request as it came over the socket."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Line:
    """The server's end of a connection, for answers that take their time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def say(self, data: bytes) -> None:
        self._connection.sendall(data)

    def begin_stream(self) -> None:
        self.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, *objects: object) -> None:
        data = b"".join(json.dumps(one).encode() + b"\n" for one in objects)
        self.say(b"%x\r\n%s\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self.say(b"0\r\n\r\n")

    def wait_for_hang_up(self) -> None:
        while self._connection.recv(65536):
            pass


def reply(status: int, value: object) -> bytes:
    """A complete answer."""
    body = json.dumps(value).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def problem(status: int, kind: str, detail: str) -> bytes:
    """A refusal."""
    return reply(status, {"title": "X", "status": status, "detail": detail, "kind": kind})


def hang_up(_: Line) -> None:
    """End the connection without a word."""


def events(*objects: object, end: bool = True) -> Callable[[Line], None]:
    """A stream of these, all at once; then it ends, or stays open."""

    def answer(line: Line) -> None:
        line.begin_stream()
        if objects:
            line.chunk(*objects)
        if end:
            line.end_stream()
        else:
            line.wait_for_hang_up()

    return answer


def message(seq: int, text: str = "hello", **more: object) -> dict[str, object]:
    """A message event."""
    return {
        "seq": seq,
        "type": "message",
        "time": "2026-11-22T13:00:00.123Z",
        "connector": "memory",
        "id": f"${seq}",
        "sender": "@ann:example.internal",
        "sender_name": "Ann",
        "text": text,
        "thread_id": None,
        "reply_to": None,
        "class": "human",
        "attachments": [],
    } | more


class ScriptedDaemon:
    """Answers each route with its list of answers, in order; the last one again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[Request] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self.on("POST", "/v1/subscribers/me/ack", reply(200, {}))
        self.on("GET", "/v1/subscribers", reply(200, {"subscribers": [{"name": "me"}]}))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()
        for thread in self._threads:
            thread.join(5)

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Say what to answer to a route from now on."""
        self._answers[method, path] = list(answers)

    def start(self) -> None:
        """Listen."""
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        self._spawn(self._accept, self._listener)

    def stop(self) -> None:
        """Listen no more; whoever connects is refused."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests that were made to a route."""
        return [one for one in self.requests if (one.method, one.path) == (method, path)]

    @property
    def acknowledged(self) -> list[int]:
        """The numbers that the subscriber `me` has acknowledged."""
        return [one.body["seq"] for one in self.asked("POST", "/v1/subscribers/me/ack")]

    def start_client(self, *words: str | bytes, **more: Any) -> subprocess.Popen[bytes]:
        """Start `fleetchat` as a process of its own."""
        pipes: dict[str, Any]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen([*self._command, *words], **(pipes | more))

    def run_client(self, *words: str | bytes, given: bytes = b"") -> Result:
        """Run `fleetchat` as a process of its own to its end."""
        return _run([*self._command, *words], given)

    def run_in_shell(self, script: str) -> Result:
        """Run a shell script in which `"$@"` is `fleetchat`."""
        return _run(["/bin/sh", "-c", script, "sh", *self._command])

    @property
    def _command(self) -> list[str]:
        return [*COMMAND, "--socket", str(self.path)]

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = _read_request(connection)
                self.requests.append(request)
                answers = self._answers[request.method, request.path]
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if callable(answer):
                    answer(Line(connection))
                else:
                    connection.sendall(answer)
            except (ConnectionError, EOFError):
                return

    def _spawn(self, target: Callable[[socket.socket], None], argument: socket.socket) -> None:
        thread = threading.Thread(target=target, args=(argument,), daemon=True)
        thread.start()
        self._threads.append(thread)


@dataclass(frozen=True)
class Result:
    """How a run of `fleetchat` ended."""

    code: int
    out: str
    err: str


def _run(command: list[str | bytes], given: bytes = b"") -> Result:
    done = subprocess.run(command, input=given, capture_output=True, timeout=30, check=False)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def _read_request(connection: socket.socket) -> Request:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += _more(connection)
    method, target, _ = first.split(" ")
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return Request(method, parts.path, query, headers, json.loads(body) if body else None)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise EOFError
    return data
