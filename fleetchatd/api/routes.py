"""The whole API in one table: what it is called, who may call it, what it takes and gives.

The server (server.py) dispatches by it, and the OpenAPI description (openapi.py) is made from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from aiohttp import web

from fleetchatd.api import events, health, messages, openapi, subscribers
from fleetchatd.api.query import NAME_PATTERN, SEQ_PATTERN, WAIT_PATTERN, Query
from fleetchatd.api.service import Service
from fleetchatd.model import EVENT_CLASSES, EVENT_TYPES

Handler = Callable[..., Awaitable[web.StreamResponse]]


class Right(Enum):
    """Who may call a route; opening the socket at all is a matter of its mode."""

    ANYONE = "whoever may open the socket"
    OWNER = "root and the user that the daemon runs as"


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that the API does.

    Attributes:
        path: its parts in braces are handed to the handler as arguments.
        query: the schema of each key that it takes.
        body: the schema of its body, by name; None if it takes none.
        answers: what each status gives, a schema by name or a media type.
        refuses: the statuses of its problems.
    """

    method: str
    path: str
    handler: Handler
    right: Right
    query: dict[str, dict[str, Any]]
    body: str | None
    answers: dict[int, str]
    refuses: tuple[int, ...] = ()


async def describe(service: Service, request: web.BaseRequest) -> web.Response:
    """This description."""
    Query(request, ())
    return openapi.response(ROUTES)


_WAIT: dict[str, dict[str, Any]] = {"wait_s": {"type": "string", "pattern": WAIT_PATTERN}}
_FLAG = {"type": "string", "enum": ["true", "false"]}


def _some_of(words: tuple[str, ...]) -> dict[str, Any]:
    word = "|".join(words)
    return {"type": "string", "pattern": f"^({word})(,({word}))*$"}


_EVENTS: dict[str, dict[str, Any]] = {
    **_WAIT,
    "subscriber": {"type": "string", "pattern": NAME_PATTERN},
    "after": {"type": "string", "pattern": SEQ_PATTERN},
    "from": {"type": "string", "enum": ["start"]},
    "types": _some_of(EVENT_TYPES),
    "class": _some_of(EVENT_CLASSES),
    "follow": _FLAG,
    "takeover": _FLAG,
}
_HISTORY: dict[str, dict[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": messages.MAX_LIMIT},
    "before": {"type": "string"},
    "thread_id": {"type": "string"},
    "direction": {"type": "string", "enum": ["in", "out"]},
}

ANYONE, OWNER = Right.ANYONE, Right.OWNER

# fmt: off
ROUTES: tuple[Route, ...] = (
    # method    path                            handler                 right   query     body       answers                                    refuses
    Route("POST",   "/v1/messages",             messages.send,          ANYONE, _WAIT,    "Draft",   {202: "Message", 200: "Message"},          (400, 413, 422, 503, 507)),
    Route("GET",    "/v1/messages",             messages.history,       ANYONE, _HISTORY, None,      {200: "History"},                          (400, 404)),
    Route("GET",    "/v1/messages/{id}",        messages.show,          ANYONE, {},       None,      {200: "Message"},                          (400, 404)),
    Route("DELETE", "/v1/messages/{id}",        messages.cancel,        ANYONE, {},       None,      {200: "Message"},                          (400, 404, 409, 503, 507)),
    Route("POST",   "/v1/messages/{id}/retry",  messages.retry,         ANYONE, {},       None,      {202: "Message"},                          (400, 404, 409, 503, 507)),
    Route("GET",    "/v1/events",               events.stream,          ANYONE, _EVENTS,  None,      {200: "application/x-ndjson"},             (400, 409, 422, 503, 507)),
    Route("GET",    "/v1/subscribers",          subscribers.listing,    ANYONE, {},       None,      {200: "Subscribers"},                      (400,)),
    Route("DELETE", "/v1/subscribers/{name}",   subscribers.forget,     ANYONE, {},       None,      {204: ""},                                 (400, 404, 503, 507)),
    Route("POST",   "/v1/subscribers/{name}/ack", subscribers.acknowledge, ANYONE, {},    "Ack",     {200: "Acked"},                            (400, 404, 413, 422, 503, 507)),
    Route("GET",    "/v1/health",               health.health,          ANYONE, {},       None,      {200: "Health", 503: "Health"},            (400,)),
    Route("GET",    "/v1/metrics",              health.metrics,         ANYONE, {},       None,      {200: "text/plain"},                       (400,)),
    Route("POST",   "/v1/reload",               health.reload,          OWNER,  {},       None,      {200: "Reloaded"},                         (400, 403, 422, 503)),
    Route("GET",    "/v1/openapi.json",         describe,               ANYONE, {},       None,      {200: "application/json"},                 (400,)),
)
# fmt: on
