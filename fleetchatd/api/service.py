"""What the API needs of the daemon."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from fleetchatd.api.problems import bad_request
from fleetchatd.api.streams import Streams
from fleetchatd.journal.base import Journal
from fleetchatd.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Service:
    """The daemon, as its API sees it.

    Attributes:
        health: the object of `GET /v1/health`.
        metrics: the text of `GET /v1/metrics`.
        reload: re-reads the roster; raises `RosterError` and the like, having changed nothing.
        acknowledged: called after a subscriber's position moved, with its name and the `seq`.
    """

    journal: Journal
    outbox: Outbox
    health: Callable[[], dict[str, Any]]
    metrics: Callable[[], bytes]
    reload: Callable[[], Awaitable[None]]
    acknowledged: Callable[[str, int], None]
    streams: Streams = field(default_factory=Streams)


def json_response(value: object, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def parse_json(raw: bytes) -> Any:
    """A request's body.

    orjson refuses what JSON leaves open (lone surrogates, numbers without end); the standard
    library takes some of that, so that the fields can be named in the error.

    Raises:
        RequestError: it is not JSON.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        reason = str(error)
    try:
        return json.loads(raw.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise bad_request(f"cannot read the body: it is not JSON: {reason}", "not-json") from None


def _refuse(constant: str) -> None:
    raise ValueError(constant)
