"""What systemd and the daemon tell each other."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sdnotify import SystemdNotifier

from fleetchatd import daemon, systemd
from fleetchatd.errors import FleetchatError


@pytest.fixture(autouse=True)
def no_socket_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The library keeps its socket as long as the process lives."""
    made: list[SystemdNotifier] = []

    def noted() -> SystemdNotifier:
        made.append(SystemdNotifier())
        return made[-1]

    monkeypatch.setattr("sdnotify.SystemdNotifier", noted)
    yield
    for one in made:
        if one.socket is not None:
            one.socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield made


def test_lines_arrive_in_one_datagram(manager: socket.socket) -> None:
    systemd.Notifier().tell("RELOADING=1", "MONOTONIC_USEC=7")
    assert manager.recv(4096) == b"RELOADING=1\nMONOTONIC_USEC=7"


def test_a_status_in_any_script_arrives_as_utf8(manager: socket.socket) -> None:
    systemd.Notifier().status("degraded: Räume → 部屋 \ud800")
    assert manager.recv(4096) == "STATUS=degraded: Räume → 部屋 ?".encode()


def test_a_line_break_in_a_servers_words_assigns_nothing(manager: socket.socket) -> None:
    systemd.Notifier().status("down: no\nMAINPID=1\r\nWATCHDOG=trigger")
    assert manager.recv(4096) == b"STATUS=down: no MAINPID=1 WATCHDOG=trigger"


def test_a_status_is_told_once_while_it_stays(manager: socket.socket) -> None:
    notifier = systemd.Notifier()
    for text in ("ok", "ok", "down", "ok"):
        notifier.status(text)
    assert [manager.recv(99) for _ in range(3)] == [b"STATUS=ok", b"STATUS=down", b"STATUS=ok"]
    with pytest.raises(BlockingIOError):
        manager.recv(99)


def test_without_a_manager_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.Notifier().tell("READY=1")


# The library lets a socket go, unclosed, that it could not connect.
@pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("path", ["/nonexistent/notify", "@nobody-listens-there"])
def test_a_manager_that_is_gone_stops_no_work(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    systemd.Notifier().tell("READY=1")


@pytest.mark.parametrize(
    ("usec", "pid", "interval_s"),
    [
        ("2000000", None, 1.0),
        ("2000000", "own", 1.0),
        ("2000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        ("-5", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, interval_s: float | None
) -> None:
    pid = str(os.getpid()) if pid == "own" else pid
    for name, value in {"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_interval_s() == interval_s


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "0", "LISTEN_PID": "own"},
        {"LISTEN_FDS": "junk", "LISTEN_PID": "own"},
        {"LISTEN_FDS": "", "LISTEN_PID": "own"},
    ],
)
def test_what_was_not_meant_for_this_process_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> None:
    offer(monkeypatch, env)
    assert systemd.inherited_socket() is None


def offer(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    for name in ("LISTEN_FDS", "LISTEN_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, str(os.getpid()) if value == "own" else value)


def test_a_listening_unix_socket_is_taken_and_not_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(monkeypatch, {"LISTEN_FDS": "1", "LISTEN_PID": "own"})
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        made.listen()
        os.set_inheritable(made.fileno(), True)
        monkeypatch.setattr(systemd, "FIRST_FD", made.fileno())
        taken = systemd.inherited_socket()
        assert taken is not None
        assert taken.getsockname() == str(tmp_path / "s")
        assert not os.get_inheritable(made.fileno())
        taken.close()


def test_who_waits_for_a_daemon_that_cannot_run_is_told_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(monkeypatch, {"LISTEN_FDS": "1", "LISTEN_PID": "own"})
    with socket.socket(socket.AF_UNIX) as made, ExitStack() as clients:
        made.bind(str(tmp_path / "s"))
        made.listen()
        monkeypatch.setattr(systemd, "FIRST_FD", made.fileno())
        waiting = [clients.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        for client in waiting:
            client.connect(str(tmp_path / "s"))
        waiting[0].send(b"POST /v1/messages HTTP/1.1\r\n\r\n")
        waiting[1].close()
        systemd.turn_away("roster.yaml:3: no")
        answer = waiting[0].recv(9999)
    assert answer.startswith(b"HTTP/1.1 503 ")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["detail"] == "roster.yaml:3: no"


@pytest.mark.parametrize("what", ["file", "closed", "tcp", "datagram", "not listening"])
def test_anything_else_is_refused_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    offer(monkeypatch, {"LISTEN_FDS": "1", "LISTEN_PID": "own"})
    with (
        (tmp_path / "file").open("w") as file,
        socket.socket(socket.AF_INET) as tcp,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
        socket.socket(socket.AF_UNIX) as idle,
    ):
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        numbers = {
            "file": file.fileno(),
            "closed": 65_000,
            "tcp": tcp.fileno(),
            "datagram": datagram.fileno(),
            "not listening": idle.fileno(),
        }
        monkeypatch.setattr(systemd, "FIRST_FD", numbers[what])
        with pytest.raises(FleetchatError, match=r"inherited socket.*ListenStream="):
            systemd.inherited_socket()


async def test_a_stop_asks_for_time_but_not_for_ever(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "STOP_MOST_S", 0.05)
    monkeypatch.setattr(daemon, "EXTEND_EVERY_S", 0.02)
    stopping = daemon.Daemon(daemon.Options("roster", "socket", str(tmp_path)))
    await asyncio.wait_for(stopping._ask_for_time(), timeout=5)
    asked = [int(manager.recv(99).partition(b"=")[2]) for _ in range(2)]
    assert 50_000 >= asked[0] > asked[1] > 0
