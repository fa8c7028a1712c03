"""`subscribe --exec CMD`: one event, one run of the command."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

from fleetchatd.client.errors import NotDeliveredError

GRACE_S = 10.0
"""How long a command may take to end when we are told to end."""


def run_command(shell_command: str, event: str) -> None:
    """Run a command with an event on its standard input; returns if it exits with 0.

    The command has a process group of its own, so that it and its children can be ended together,
    and so that Ctrl-C reaches it once: through us.

    Raises:
        NotDeliveredError: it exited otherwise or could not be started.
    """
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", shell_command],
            stdin=subprocess.PIPE,
            process_group=0,
        )
    except (OSError, ValueError) as error:
        raise NotDeliveredError(f"cannot run the command: {error}") from None
    try:
        process.communicate(event.encode() + b"\n")
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise NotDeliveredError(
            f"the command {_ended(process.returncode)}, the event stays pending"
        )


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
