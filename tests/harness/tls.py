"""TLS in front of a plain server, and a proxy on the way to it."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]


@dataclass(frozen=True)
class Authority:
    """A throwaway certificate authority in a directory, and one certificate of it."""

    directory: Path
    names: tuple[str, ...]

    @property
    def certificate(self) -> Path:
        """What SSL_CERT_FILE is to name."""
        return self.directory / "ca.pem"

    def make(self) -> ssl.SSLContext:
        """Make both with the `openssl` program; return a server's context."""
        own, key = self.directory / "server.pem", self.directory / "server.key"
        self._openssl("ca", "/CN=Throwaway CA", "basicConstraints=critical,CA:TRUE")
        alternatives = ",".join(f"DNS:{name}" for name in self.names)
        issuer = ["-CA", str(self.certificate), "-CAkey", str(self.directory / "ca.key")]
        self._openssl("server", "/CN=server", f"subjectAltName={alternatives}", *issuer)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(own, key)
        return context

    def _openssl(self, name: str, subject: str, extension: str, *more: str) -> None:
        places = [str(self.directory / f"{name}.{ending}") for ending in ("key", "pem")]
        command = ["openssl", "req", "-x509", *_KEY, "-keyout", places[0], "-out", places[1]]
        command += ["-subj", subject, "-addext", extension, *more]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass bytes both ways between a connection and a port of loopback."""
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))
    finally:  # also when the test has ended
        writer.transport.abort()
        far_writer.transport.abort()


@asynccontextmanager
async def tls_in_front_of(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Serve TLS on a port of loopback, and pass what comes on to `port`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, port)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@dataclass
class ConnectProxy:
    """An HTTP proxy that knows CONNECT alone, and leads everywhere to the same port.

    Attributes:
        asked: the request lines and headers of every connection.
        refuse: what it answers instead of connecting, if anything.
    """

    to_port: int
    asked: list[str] = field(default_factory=list)
    refuse: str | None = None
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ConnectProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        except asyncio.IncompleteReadError:
            writer.close()
            return
        answer = self.refuse or "200 Connection established"
        writer.write(f"HTTP/1.1 {answer}\r\n\r\n".encode())
        if self.refuse is None:
            await _join(reader, writer, self.to_port)
        writer.close()
