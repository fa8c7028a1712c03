"""What a process may do: one answer for each of systemd's sandboxing directives, as JSON.

Runs by itself, with nothing but Python's library, in a unit's sandbox and out of it. An answer that
is the same in both would mean that a directive does nothing.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_PTRACE, _SYSLOG, _PERSONALITY, _SETSCHEDULER, _CLOCK_SETTIME, _KEYCTL = (
    101,
    103,
    135,
    144,
    227,
    250,
)
_X32 = 0x40000000
_GETPID = 39
_NONSENSE = 99
_NEW_USER_NAMESPACE = 0x10000000


def outcome(attempt: Callable[[], object]) -> str:
    """What came of an attempt: `ok`, or why not."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok"


def call(number: int, *arguments: int) -> str:
    """What came of a system call."""
    ctypes.set_errno(0)
    _libc.syscall(number, *arguments)
    return errno.errorcode.get(ctypes.get_errno(), "ok")


def in_a_child(attempt: Callable[[], int]) -> str:
    """How a child ends that makes the attempt."""
    child = os.fork()
    if child == 0:
        os._exit(0 if attempt() == 0 else 1)
    return str(os.waitpid(child, 0)[1])


def status(name: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line for line in lines if line.startswith(name))


def namespace(name: str) -> str:
    return os.readlink(f"/proc/self/ns/{name}")


def write_there(folder: str) -> str:
    file = Path(folder, ".probe")
    return outcome(lambda: file.open("w").close()) + outcome(file.unlink)


def writable_and_executable() -> str:
    anywhere = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    rights = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    return outcome(lambda: mmap.mmap(-1, 4096, anywhere, rights).close())


def set_user_id() -> str:
    file = os.memfd_create("probe")
    return outcome(lambda: os.fchmod(file, 0o4700))


def netlink() -> str:
    return outcome(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close())


def is_read_only(path: str) -> str:
    return str(bool(os.statvfs(path).f_flag & os.ST_RDONLY))


def permissions(path: str) -> str:
    try:
        return oct(Path(path).stat().st_mode)
    except FileNotFoundError:
        return "not there"


def device(path: str) -> str:
    found = Path(path).stat()
    return f"{found.st_dev}:{found.st_ino}"


PROBES: dict[str, Callable[[], str]] = {
    "CapabilityBoundingSet": lambda: status("CapBnd"),
    "KeyringMode": lambda: str(_libc.syscall(_KEYCTL, 0, -3, 0)),
    "LimitCORE": lambda: str(resource.getrlimit(resource.RLIMIT_CORE)),
    "LockPersonality": lambda: call(_PERSONALITY, 8),
    "MemoryDenyWriteExecute": writable_and_executable,
    "NoNewPrivileges": lambda: status("NoNewPrivs"),
    "PrivateDevices": lambda: device("/dev"),
    "PrivateIPC": lambda: namespace("ipc"),
    "PrivateMounts": lambda: namespace("mnt"),
    "PrivateTmp": lambda: device("/tmp"),
    "PrivateUsers": lambda: namespace("user"),
    "ProcSubset": lambda: str(Path("/proc/meminfo").exists()),
    "ProtectClock": lambda: call(_CLOCK_SETTIME, _NONSENSE, 0),
    "ProtectControlGroups": lambda: is_read_only("/sys/fs/cgroup"),
    "ProtectHome": lambda: write_there(os.environ["HOME"]) + outcome(lambda: os.listdir("/home")),
    "ProtectHostname": lambda: namespace("uts"),
    "ProtectKernelLogs": lambda: permissions("/proc/kmsg"),
    "ProtectKernelModules": lambda: outcome(lambda: os.listdir("/usr/lib/modules")),
    "ProtectKernelTunables": lambda: outcome(lambda: Path("/proc/kallsyms").open().close()),
    "ProtectProc": lambda: str(Path("/proc/1").exists()),
    "ProtectSystem": lambda: write_there("/usr"),
    "RestrictAddressFamilies": netlink,
    "RestrictNamespaces": lambda: in_a_child(lambda: _libc.unshare(_NEW_USER_NAMESPACE)),
    "RestrictRealtime": lambda: call(_SETSCHEDULER, 0, os.SCHED_RR, 0),
    "RestrictSUIDSGID": set_user_id,
    "SystemCallArchitectures": lambda: in_a_child(lambda: int(_libc.syscall(_X32 | _GETPID))),
    "SystemCallFilter": lambda: in_a_child(lambda: int(_libc.syscall(_PTRACE, 0, 0, 0, 0))),
    "UMask": lambda: str(os.umask(0)),
}

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps({name: probe() for name, probe in PROBES.items()}))
