"""Errors as the socket tells them: RFC 9457 `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from aiohttp import web

from fleetchatd.errors import FleetchatError, JournalError, StorageFullError


class RequestError(FleetchatError):
    """A request that is refused.

    Attributes:
        status: the HTTP status.
        kind: what programs look at, in kebab-case.
        problems: every single thing that is wrong, where there may be several.
        headers: what else the answer's header has to say.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        problems: list[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.problems = problems
        self.headers = headers


def bad_request(detail: str, kind: str = "bad-request") -> RequestError:
    """The request cannot be read."""
    return RequestError(400, kind, detail)


def unprocessable(detail: str, kind: str = "bad-field") -> RequestError:
    """The request can be read, and asks for what cannot be."""
    return RequestError(422, kind, detail)


def not_found(detail: str, kind: str = "not-found") -> RequestError:
    """What it names is not there."""
    return RequestError(404, kind, detail)


def journal_failed(error: JournalError) -> RequestError:
    """The journal could not do it; nothing of the request happened."""
    if isinstance(error, StorageFullError):
        return RequestError(507, "storage-full", str(error))
    return RequestError(503, "journal-failed", str(error))


def response(error: RequestError) -> web.Response:
    """The answer that tells of an error."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
        "kind": error.kind,
    }
    if error.problems is not None:
        body["errors"] = error.problems
    return web.Response(
        status=error.status,
        body=orjson.dumps(body),
        headers={"Content-Type": "application/problem+json", **(error.headers or {})},
    )
