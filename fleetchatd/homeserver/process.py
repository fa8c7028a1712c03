"""The Synapse process: started apart from the terminal, found again, stopped.

It inherits a lock that lasts exactly as long as it lives. So whether it runs, and under which
process id, is never a guess, and no other process can be mistaken for it.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from fleetchatd.errors import FleetchatError
from fleetchatd.homeserver.config import LOG_NAME
from fleetchatd.homeserver.ports import descriptors, is_listening
from fleetchatd.homeserver.private import open_file

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
_POLL_S = 0.05
_LOCK_NAME = "server.lock"


def start(folder: Path, python: Path, config: Path, port: int) -> None:
    """Start Synapse, in a session of its own, and wait until it listens.

    Raises:
        FleetchatError: it ends, or does not listen in time; shows the end of its log.
    """
    log = folder / LOG_NAME
    if log.exists():
        log.replace(log.with_suffix(".log.1"))  # each life has its own, and the one before stays
    lock = open_file(folder / _LOCK_NAME, os.O_RDWR)
    output = open_file(log, os.O_WRONLY | os.O_APPEND)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        server = subprocess.Popen(
            [python, "-m", "synapse.app.homeserver", "-c", config],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[lock],
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(lock)
        os.close(output)
    _await_listening(server, port, log)


def wait_listening(folder: Path, pid: int, port: int) -> None:
    """Wait until a Synapse that runs already listens.

    Raises:
        FleetchatError: it does not, in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_listening(pid, port):
        if time.monotonic() > deadline or running(folder) is None:
            raise failed("it runs and does not listen", folder / LOG_NAME)
        time.sleep(_POLL_S)


def running(folder: Path) -> int | None:
    """The process id of the Synapse that works in `folder`, None if there is none.

    Raises:
        FleetchatError: one holds the folder, and cannot be seen from here.
    """
    path = folder / _LOCK_NAME
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        wanted = os.fstat(lock)
    finally:
        os.close(lock)
    for pid in _processes():
        if _holds_lock(pid, wanted):
            return pid
    raise FleetchatError(
        f"cannot find the process that holds {path}: it may be in another container, or another"
        " user's; stop it from there"
    )


def stop(folder: Path) -> bool:
    """Stop the Synapse that works in `folder`, in order, else by force.

    Returns:
        Whether there was one.
    """
    pid = running(folder)
    if pid is None:
        return False
    handle = os.pidfd_open(pid)
    try:
        if running(folder) != pid:  # it ended, and its number may be somebody else's by now
            return True
        for number in (signal.SIGTERM, signal.SIGCONT):  # one that was suspended can end, too
            signal.pidfd_send_signal(handle, number)
        if not _ended(handle):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            _ended(handle)
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)
    return True


def failed(what: str, log: Path) -> FleetchatError:
    """An error that shows what Synapse said last."""
    try:
        with log.open(errors="replace") as lines:
            said = "".join(deque(lines, 15)).rstrip()
    except OSError:
        said = ""
    return FleetchatError(
        f"cannot start the homeserver: {what}; mend what the end of {log} says, and run it again\n"
        f"{said or '(it has said nothing)'}"
    )


def _await_listening(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_listening(server.pid, port):
        code = server.poll()
        if code is not None:
            raise failed(f"Synapse ended at its start ({code})", log)
        if time.monotonic() > deadline:
            raise failed(f"Synapse does not listen after {START_TIMEOUT_S:g} s", log)
        time.sleep(_POLL_S)


def _environment() -> dict[str, str]:
    """Little: secrets that a shell has exported are none of Synapse's business."""
    kept = ("PATH", "HOME", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LANG": "C.UTF-8"}


def _ended(handle: int) -> bool:
    ready, _, _ = select.select([handle], [], [], STOP_TIMEOUT_S)
    return bool(ready)


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _holds_lock(pid: int, lock: os.stat_result) -> bool:
    for file in descriptors(pid):
        try:
            # "lock: 1: FLOCK …" stands in the second if this descriptor holds one (proc(5)).
            if os.path.samestat(file.stat(), lock) and (
                "FLOCK" in Path(f"/proc/{pid}/fdinfo/{file.name}").read_text()
            ):
                return True
        except OSError:  # closed meanwhile
            continue
    return False
