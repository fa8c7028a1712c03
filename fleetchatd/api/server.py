"""HTTP/1.1 over the Unix socket, on aiohttp's low-level server: dispatch, limits, errors."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

import structlog
from aiohttp import HttpVersion11, web

from fleetchatd.api import problems
from fleetchatd.api.listener import peer_of
from fleetchatd.api.problems import RequestError, bad_request, not_found
from fleetchatd.api.routes import ROUTES, Right, Route
from fleetchatd.api.service import Service
from fleetchatd.errors import JournalError

MAX_BODY_BYTES = 1024 * 1024

log = structlog.get_logger("fleetchatd.api")


class Server:
    """Serves the API until it is closed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._server = web.Server(self._handle, handler_cancellation=True)
        self._listener: asyncio.AbstractServer | None = None
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[list[str], dict[str, Route]]] = []
        for route in ROUTES:
            self._add(route)

    def _add(self, route: Route) -> None:
        if "{" not in route.path:
            self._exact.setdefault(route.path, {})[route.method] = route
            return
        parts = route.path.split("/")
        for known, methods in self._patterns:
            if known == parts:
                methods[route.method] = route
                return
        self._patterns.append((parts, {route.method: route}))

    async def start(self, listener: socket.socket) -> None:
        """Answer on a listening socket."""
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"sock": listener, "backlog": 1024}
        if sys.version_info >= (3, 13):
            options["cleanup_socket"] = False  # else it removes the socket that systemd keeps
        self._listener = await loop.create_unix_server(self._protocol, **options)

    def _protocol(self) -> web.RequestHandler:
        # The annotation lacks None, which switches the access log off (as in AppRunner).
        no_log: Any = None
        return _Protocol(self._server, loop=asyncio.get_running_loop(), access_log=no_log)

    async def close(self, grace_s: float) -> None:
        """Take no new connections, let answers under way go out, then let go."""
        if self._listener is None:
            return
        self._listener.close()
        self._service.streams.end_all()
        self._server.pre_shutdown()
        await self._server.shutdown(grace_s)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            route, arguments = self._route(request.method, request.path)
            _check_right(route, request)
            await _continue(request)
            return await route.handler(self._service, request, *arguments)
        except RequestError as error:
            return _refusal(error)
        except JournalError as error:
            return _refusal(problems.journal_failed(error))
        except web.HTTPRequestEntityTooLarge:
            return _refusal(
                RequestError(413, "too-large", f"the body is over {MAX_BODY_BYTES} bytes")
            )
        except (asyncio.CancelledError, ConnectionError):
            raise
        except web.RequestPayloadError:
            return _refusal(bad_request("cannot read the body: it is cut off or badly encoded"))
        except web.HTTPException as error:
            return _refusal(RequestError(error.status, "bad-request", error.reason))
        except Exception:
            log.exception("a request failed", method=request.method, path=request.path)
            return _refusal(RequestError(500, "internal", "something broke; see the log"))

    def _route(self, method: str, path: str) -> tuple[Route, list[str]]:
        arguments: list[str] = []
        methods = self._exact.get(path)
        if methods is None:
            parts = path.split("/")
            for pattern, candidates in self._patterns:
                found = _match(pattern, parts)
                if found is not None:
                    methods, arguments = candidates, found
                    break
        if methods is None:
            raise not_found("there is nothing at this path; see /v1/openapi.json", "unknown-path")
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = ", ".join(sorted({*methods, *(("HEAD",) if "GET" in methods else ())}))
            raise RequestError(
                405, "bad-method", f"this path takes {allowed}", headers={"Allow": allowed}
            )
        return route, arguments


def _match(pattern: list[str], parts: list[str]) -> list[str] | None:
    """What stands in the braces of a path's pattern; None if the path is another."""
    if len(pattern) != len(parts):
        return None
    arguments = []
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not part:
                return None
            arguments.append(part)
        elif wanted != part:
            return None
    return arguments


def _check_right(route: Route, request: web.BaseRequest) -> None:
    if route.right is Right.OWNER and peer_of(request).uid not in (0, os.getuid()):
        raise RequestError(403, "forbidden", f"this is for {route.right.value}")


async def _continue(request: web.BaseRequest) -> None:
    """Ask for the body of a client that waits to be asked (RFC 9110, section 10.1.1)."""
    if request.version < HttpVersion11 or request.transport is None:
        return
    if request.headers.get("Expect", "").lower() == "100-continue":
        if (request.content_length or 0) > MAX_BODY_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, request.content_length or 0)
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _refusal(error: RequestError) -> web.Response:
    return problems.response(error)


class _Protocol(web.RequestHandler):
    """aiohttp's, with problems in place of its own error pages."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that is not HTTP."""
        refusal = _refusal(RequestError(status, "bad-request", "this is not an HTTP/1.1 request"))
        refusal.force_close()
        return refusal
