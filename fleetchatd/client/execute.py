"""`subscribe --exec CMD`: one event, one run of the command."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Iterator

from fleetchatd.client.errors import NotDeliveredError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

GRACE_S = 10.0
"""How long a command may take to end when we are told to end."""


def run_command(shell_command: str, event: str) -> None:
    """Run a command with an event on its standard input; returns if it exits with 0.

    The command has a process group of its own, so that it and its children can be ended together,
    and so that Ctrl-C reaches it once: through us.

    Raises:
        NotDeliveredError: it exited otherwise or could not be started.
    """
    with contextlib.ExitStack() as held:
        held.enter_context(_signals_held())
        process = _start(shell_command)
        try:
            held.close()
            process.communicate(event.encode() + b"\n")
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        raise NotDeliveredError(
            f"the command {_ended(process.returncode)}, the event stays pending"
        )


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Let signals wait: one between the command's start and our knowing it would leave it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(shell_command: str) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", shell_command],
            stdin=subprocess.PIPE,
            process_group=0,
            preexec_fn=functools.partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, _ENDING),
        )
    except (OSError, ValueError) as error:
        raise NotDeliveredError(f"cannot run the command: {error}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ended(code: int) -> str:
    return f"exited with {code}" if code > 0 else f"was killed by signal {-code}"
