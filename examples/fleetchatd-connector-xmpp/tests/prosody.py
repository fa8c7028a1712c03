"""A real XMPP server of the tests' own: Prosody, with a room in it, on loopback and with TLS."""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import shutil
import socket
import subprocess
import tempfile
from asyncio.subprocess import DEVNULL
from pathlib import Path

HOST = "localhost"
ROOM = f"fleet@rooms.{HOST}"
PASSWORD = "not-a-secret"

CONFIG = """
run_as_root = {root}
data_path = "{folder}/data"
pidfile = "{folder}/prosody.pid"
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = "{folder}/prosody.log" }} }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ }}
modules_enabled = {{ "tls", "saslauth", "disco", "ping" }}
modules_disabled = {{ "s2s" }}
authentication = "internal_hashed"
storage = "internal"
VirtualHost "{host}"
    ssl = {{ certificate = "{folder}/cert.pem", key = "{folder}/key.pem" }}
Component "rooms.{host}" "muc"
    modules_enabled = {{ "muc_mam" }}
    muc_room_locking = false
    muc_room_default_persistent = true
    muc_room_default_members_only = {closed}
    muc_room_default_public_jids = true
"""


class Prosody:
    """One server; what it keeps survives `stop` and `start`.

    Attributes:
        certificate: what `$SSL_CERT_FILE` has to name.
    """

    def __init__(self, folder: Path, *, closed: bool = True) -> None:
        program = shutil.which("prosody")
        assert program, "these tests need Prosody: apt-get install prosody"
        self.port = _free_port()
        self.certificate = folder / "cert.pem"
        config = folder / "prosody.cfg.lua"
        config.write_text(_config(folder, self.port, closed=closed))
        self._command = [program, "--config", str(config), "-F"]
        self._log = folder / "prosody.log"
        self._process: asyncio.subprocess.Process | None = None
        shutil.copytree(_prepared(), folder, dirs_exist_ok=True)

    @property
    def address(self) -> str:
        """The roster's `server`."""
        return f"{HOST}:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(*self._command, stdout=DEVNULL)
        async with asyncio.timeout(20):
            while not self._listens():
                assert self._process.returncode is None, self._log.read_text()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@functools.cache
def _prepared() -> Path:
    """A certificate and accounts, made once for all servers of a run."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    (folder / "data").mkdir()
    places = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    _run("openssl", "req", "-x509", *key, *names, *places)
    config = folder / "once.cfg.lua"
    config.write_text(_config(folder, 0, closed=True))
    for name in ("mos", "ann", "bob"):
        _run("prosodyctl", "--config", str(config), "register", name, HOST, PASSWORD)
    return folder


def _config(folder: Path, port: int, *, closed: bool) -> str:
    root, only = str(os.geteuid() == 0).lower(), str(closed).lower()
    return CONFIG.format(root=root, folder=folder, port=port, host=HOST, closed=only)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
