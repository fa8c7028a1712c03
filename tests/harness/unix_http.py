"""`requests` over a Unix socket, for tools that drive an API through a `requests.Session`."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool


def session(path: Path) -> requests.Session:
    """A session whose every request goes to the socket at `path`, whatever host it names."""
    made = requests.Session()
    made.mount("http://", _Adapter(path))
    made.trust_env = False
    return made


class _Adapter(HTTPAdapter):
    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__()

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: object = None,
    ) -> HTTPConnectionPool:
        return _Pool(self._path)


class _Pool(HTTPConnectionPool):
    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__("fleetchat")

    def _new_conn(self) -> HTTPConnection:
        return _Connection(self._path)


class _Connection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__("fleetchat")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30.0)
        try:
            self.sock.connect(str(self._path))
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(self, str(error)) from error
