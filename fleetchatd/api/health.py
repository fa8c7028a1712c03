"""The daemon itself: health, metrics, reload, and the description of this API."""

from __future__ import annotations

from aiohttp import web

from fleetchatd.api.problems import RequestError
from fleetchatd.api.query import Query
from fleetchatd.api.service import Service, json_response
from fleetchatd.errors import (
    ConfigError,
    ConnectorNotImplementedError,
    FleetchatError,
    RosterError,
)


async def health(service: Service, request: web.BaseRequest) -> web.Response:
    """Whether messages get through, both ways."""
    Query(request, ())
    found = service.health()
    return json_response(found, 503 if found["status"] == "down" else 200)


async def metrics(service: Service, request: web.BaseRequest) -> web.Response:
    """Counters and gauges for Prometheus."""
    Query(request, ())
    return web.Response(
        body=service.metrics(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def reload(service: Service, request: web.BaseRequest) -> web.Response:
    """Read the roster and the secrets again; answers when that is done."""
    Query(request, ())
    try:
        await service.reload()
    except (ConfigError, ConnectorNotImplementedError) as error:
        problems = error.problems if isinstance(error, RosterError) else [str(error)]
        raise RequestError(422, "bad-roster", str(error), problems=problems) from None
    except FleetchatError as error:
        raise RequestError(503, "stopping", str(error)) from None
    return json_response({"reloaded": True})
