"""Ports on loopback that no other process takes while their server is away."""

from __future__ import annotations

import socket


class Port:
    """A port that is ours until it is closed, whether a server listens on it or not.

    It is bound and never listened on. Linux lets a server with SO_REUSEADDR, which asyncio and
    Twisted set, listen there all the same, and gives the port to nobody who asks for any port.
    Test runs at the same time would otherwise take the port of a server that is about to start.

    Attributes:
        number: of the port.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.number}"

    def close(self) -> None:
        self._socket.close()
