"""Where the daemon listens, who may connect, and what it tells systemd."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from tests.harness.api import Api
from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.waiting import eventually


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def records(daemon: Daemon) -> list[dict[str, object]]:
    return [json.loads(line) for line in daemon.log_text.splitlines()]


def under(daemon: Daemon, prologue: str) -> None:
    """Have the daemon started by a shell that does something first."""
    command = shlex.join(daemon._command())
    daemon._command = lambda: ["/bin/sh", "-c", f"{prologue}; exec {command}"]  # type: ignore[method-assign]


@pytest.mark.parametrize("umask", ["000", "077", "777"])
async def test_what_it_makes_is_its_owners_alone_under_any_umask(
    make_daemon: MakeDaemon, umask: str
) -> None:
    daemon = make_daemon()
    daemon.socket.parent.rmdir()
    under(daemon, f"umask {umask}")
    await daemon.start()
    await daemon.api.send("to be journalled", wait_s=10)
    assert mode(daemon.socket) == 0o600
    assert mode(daemon.socket.parent) == 0o700
    assert mode(daemon.state_dir) == 0o700
    for file in daemon.state_dir.iterdir():
        assert mode(file) & 0o077 == 0, file


async def test_a_state_directory_that_was_open_is_closed(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    daemon.state_dir.mkdir()
    daemon.state_dir.chmod(0o777)
    await daemon.start()
    assert mode(daemon.state_dir) == 0o700


async def test_a_folder_open_to_everybody_is_refused(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    daemon.socket.parent.chmod(0o1777)
    daemon.spawn()
    assert await daemon.ended() == 1
    assert "everybody may write there" in daemon.log_text
    assert not daemon.socket.exists()


async def test_a_second_instance_on_either_place_exits_75_and_harms_nothing(
    make_daemon: MakeDaemon,
) -> None:
    first, same_state, same_socket = make_daemon(), make_daemon(), make_daemon()
    await first.start()
    same_state.state_dir = first.state_dir
    same_socket.socket = first.socket
    for second, place in ((same_state, first.state_dir), (same_socket, first.socket)):
        second.spawn()
        assert await second.ended() == 75
        assert str(place) in second.log_text
        assert len(second.log_text.splitlines()) == 1
    assert (await first.api.send("still here", wait_s=10))["state"] == "delivered"


async def test_the_socket_of_a_killed_daemon_is_replaced(daemon: Daemon) -> None:
    await daemon.kill()
    assert daemon.socket.exists()
    await daemon.start()


async def test_a_file_in_the_sockets_place_is_left_alone(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    daemon.socket.write_text("important")
    daemon.spawn()
    assert await daemon.ended() == 1
    assert daemon.socket.read_text() == "important"


async def test_the_socket_goes_before_the_last_answers_so_that_a_successors_stays(
    make_daemon: MakeDaemon,
) -> None:
    first, second = make_daemon(delay_s=3), make_daemon()
    second.socket = first.socket
    second.api = Api(first.socket)
    await first.start()
    await first.api.send("takes three seconds")
    first.send_signal(signal.SIGTERM)

    async def gone() -> bool:
        return not first.socket.exists()

    await eventually("the socket is removed", gone)
    assert first.running
    await second.start()
    assert await first.ended() == 0
    assert (await second.api.send("to the second", wait_s=10))["state"] == "delivered"


async def test_it_serves_more_than_the_usual_soft_limit_of_open_files(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon()
    under(daemon, "ulimit -S -n 128")
    await daemon.start()
    async with AsyncExitStack() as readers:
        for _ in range(300):
            _, writer = await asyncio.open_unix_connection(str(daemon.socket))
            readers.callback(writer.close)
        async with asyncio.timeout(5):
            assert (await daemon.api.health())["status"] == "ok"


# -- systemd -------------------------------------------------------------------------------------


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def activated(daemon: Daemon, listening: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon as systemd starts it for a socket unit; asked to stop at the end."""
    number = listening.fileno()
    with (daemon.directory / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(number), *daemon._command()],
            pass_fds=(number,),
            stderr=log,
        )
    try:
        yield process
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


async def test_an_inherited_socket_is_listened_on_and_outlives_the_daemon(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon()
    path = daemon.directory / "inherited.sock"
    daemon.api = Api(path)
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as early:
        listening.bind(str(path))
        listening.listen()
        with activated(daemon, listening):
            sent = await daemon.api.send("through it", wait_s=10)
            assert sent["state"] == "delivered"
            assert not daemon.socket.exists()
            assert accepted_by(daemon) == {"pid": os.getpid(), "uid": os.getuid()}
            (ready,) = (one for one in records(daemon) if one["event"] == "fleetchatd is ready")
            assert ready["socket"] == str(path)
        assert path.exists()
        early.connect(str(path))  # waits in the backlog for the next start
        early.send(b"GET /v1/health HTTP/1.0\r\n\r\n")
        early.settimeout(20)
        with activated(daemon, listening):
            answer = await asyncio.to_thread(early.recv, 4096)
            assert answer.startswith(b"HTTP/1.0 200 ")
            assert (await daemon.api.message(sent["id"]))["state"] == "delivered"


def accepted_by(daemon: Daemon) -> dict[str, object]:
    (accepted,) = (one for one in records(daemon) if one["event"] == "message accepted")
    return {name: accepted[f"fleetchat_peer_{name}"] for name in ("pid", "uid")}


async def test_an_inherited_descriptor_that_is_no_socket_is_refused_in_a_line(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(env={"LISTEN_FDS": "1"})
    under(daemon, "exec 3</dev/null; export LISTEN_PID=$$")
    daemon.spawn()
    assert await daemon.ended() == 1
    assert "cannot use the inherited socket" in daemon.log_text
    assert "Traceback" not in daemon.log_text


class Manager:
    """A service manager's ear."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.heard: list[str] = []

    async def hears(self, pattern: str, since: int = 0) -> str:
        async def heard() -> str | None:
            while True:
                try:
                    self.heard.append(self.socket.recv(9999).decode())
                except BlockingIOError:
                    break
            return next((text for text in self.heard[since:] if re.search(pattern, text)), None)

        return await eventually(f"{pattern} told to systemd", heard)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    with made.socket:
        yield made


async def test_systemd_is_told_of_readiness_status_reloads_the_watchdog_and_the_end(
    make_daemon: MakeDaemon, manager: Manager
) -> None:
    notify = str(manager.socket.getsockname())
    daemon = make_daemon(env={"NOTIFY_SOCKET": notify, "WATCHDOG_USEC": "400000"})
    await daemon.start()
    await manager.hears(r"^READY=1$")
    await manager.hears(r"^STATUS=ok")
    for _ in range(3):
        await manager.hears(r"^WATCHDOG=1$", since=len(manager.heard))

    reloading = len(manager.heard)
    assert (await daemon.api.reload()).status == 200
    await manager.hears(r"^RELOADING=1\nMONOTONIC_USEC=\d+$", since=reloading)
    await manager.hears(r"^READY=1$", since=reloading)

    daemon.roster.write_text("version: 7\n")
    reloading = len(manager.heard)
    daemon.send_signal(signal.SIGHUP)
    await manager.hears(r"^RELOADING=1\n", since=reloading)
    await manager.hears(r"^READY=1$", since=reloading)

    assert await daemon.terminate() == 0
    await manager.hears(r"^STOPPING=1$")
    first_ready = manager.heard.index("READY=1")
    assert all(
        not text.startswith(("WATCHDOG", "STOPPING")) for text in manager.heard[:first_ready]
    )


async def test_a_daemon_that_is_not_asked_to_feeds_no_watchdog(
    make_daemon: MakeDaemon, manager: Manager
) -> None:
    daemon = make_daemon(env={"NOTIFY_SOCKET": str(manager.socket.getsockname())})
    await daemon.start()
    await manager.hears("READY=1")
    await daemon.terminate()
    await manager.hears("STOPPING=1")
    assert "WATCHDOG=1" not in manager.heard
