"""Ports of loopback: which are free, and who listens on one."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from fleetchatd.homeserver.config import ADDRESS

_LISTENING = "0A"  # TCP_LISTEN of the kernel's net/tcp_states.h


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            trial.bind((ADDRESS, port))
        except OSError:
            return False
        return True


def any_free() -> int:
    """A port that nobody uses now."""
    with socket.socket() as trial:
        trial.bind((ADDRESS, 0))
        port: int = trial.getsockname()[1]
        return port


def is_listening(pid: int, port: int) -> bool:
    """Whether it is this process that listens on `port`: nobody else may be told secrets."""
    (address,) = struct.unpack("=I", socket.inet_aton(ADDRESS))
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == f"{address:08X}:{port:04X}" and fields[3] == _LISTENING:
            return any(_target(file) == f"socket:[{fields[9]}]" for file in descriptors(pid))
    return False


def descriptors(pid: int) -> list[Path]:
    """The open files of a process; none for one that has ended or belongs to others."""
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []


def _target(file: Path) -> str:
    try:
        return os.readlink(file)
    except OSError:
        return ""
