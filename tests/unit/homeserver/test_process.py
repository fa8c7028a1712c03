"""A process is found again by the lock that it holds, and stopped."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetchatd.errors import FleetchatError
from fleetchatd.homeserver import ports, process
from tests.harness.ports import Port

Hold = Callable[[str], subprocess.Popen[bytes]]

SLEEP = "import time; print(flush=True); time.sleep(60)"
IGNORE = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Starts a Python that holds the lock of the homeserver in `tmp_path`."""
    children: list[subprocess.Popen[bytes]] = []

    def start(program: str) -> subprocess.Popen[bytes]:
        lock = os.open(tmp_path / "server.lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen(
            [sys.executable, "-c", program], pass_fds=[lock], stdout=subprocess.PIPE
        )
        os.close(lock)
        children.append(child)
        assert child.stdout is not None
        child.stdout.readline()  # it has done what it does first
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    assert process.running(tmp_path) is None
    assert not process.stop(tmp_path)


def test_a_server_is_known_by_its_lock_until_it_dies(tmp_path: Path, hold: Hold) -> None:
    server = hold(SLEEP)
    with (tmp_path / "server.lock").open():  # somebody who only looks at it is not the server
        assert process.running(tmp_path) == server.pid
    server.kill()
    server.wait()
    assert process.running(tmp_path) is None


@pytest.mark.parametrize(
    ("program", "suspended", "end"),
    [
        (SLEEP, False, signal.SIGTERM),
        (SLEEP, True, signal.SIGTERM),
        (IGNORE, False, signal.SIGKILL),
    ],
    ids=["willing", "suspended", "stubborn"],
)
def test_a_server_is_stopped_whatever_it_does(
    tmp_path: Path,
    hold: Hold,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    suspended: bool,
    end: signal.Signals,
) -> None:
    if end is signal.SIGKILL:
        monkeypatch.setattr(process, "STOP_TIMEOUT_S", 0.2)
    server = hold(program)
    if suspended:
        server.send_signal(signal.SIGSTOP)
    assert process.stop(tmp_path)
    assert server.wait() == -end


WITHOUT_OUTPUT = """
import os, sys
from pathlib import Path
from fleetchatd.homeserver import process
folder, python, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
os.closerange(0, 3)
process.start(folder, python, folder / "config", port)
os._exit(process.running(folder) is None)
"""


def test_a_server_is_found_again_when_it_was_started_with_all_output_closed(tmp_path: Path) -> None:
    number = ports.any_free()
    listening = f"import socket; s = socket.create_server(('127.0.0.1', {number})); {SLEEP}"
    python = program(tmp_path / "python", f'exec {sys.executable} -c "{listening}"')
    words = [str(tmp_path), str(python), str(number)]
    started = subprocess.run([sys.executable, "-c", WITHOUT_OUTPUT, *words], timeout=30)
    assert started.returncode == 0
    assert process.stop(tmp_path)


def test_who_listens_on_a_port_is_told_from_who_does_not(hold: Hold) -> None:
    port = Port()
    number = port.number
    port.close()
    listening = f"import socket; s = socket.create_server(('127.0.0.1', {number})); {SLEEP}"
    server = hold(listening)
    assert ports.is_listening(server.pid, number)
    assert not ports.is_listening(os.getpid(), number)
    assert not ports.is_free(number)
    assert ports.is_free(ports.any_free())


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_server_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    python = program(tmp_path / "python", "echo it is broken >&2; exit 3")
    for _ in range(2):
        with pytest.raises(
            FleetchatError, match=r"ended at its start \(3\); mend .*\nit is broken"
        ):
            process.start(tmp_path, python, tmp_path / "config", ports.any_free())
    assert (tmp_path / "synapse.log").read_text() == "it is broken\n"
    assert (tmp_path / "synapse.log.1").read_text() == "it is broken\n"


def test_a_server_is_told_no_secret_of_the_shell_and_keeps_its_files_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", "syt_secret")
    python = program(tmp_path / "python", "env; umask; touch made; exit 1")
    with pytest.raises(FleetchatError):
        process.start(tmp_path, python, tmp_path / "config", ports.any_free())
    said = (tmp_path / "synapse.log").read_text()
    assert "PATH=" in said
    assert "syt_secret" not in said
    for name in ("synapse.log", "server.lock", "made"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
