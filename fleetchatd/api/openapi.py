"""The OpenAPI 3.1 description, made from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from fleetchatd import __version__
from fleetchatd.api.schemas import SCHEMAS

if TYPE_CHECKING:
    from fleetchatd.api.routes import Route

_PLACEHOLDER = re.compile(r"{(\w+)}")


def description(routes: Sequence[Route]) -> dict[str, Any]:
    """The description as a JSON object."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fleetchatd",
            "version": __version__,
            "description": "The conversation between a fleet's orchestrator and its operator.",
        },
        "servers": [{"url": "http://fleetchat", "description": "over the daemon's Unix socket"}],
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def response(routes: Sequence[Route]) -> web.Response:
    """The description as an answer."""
    return web.Response(body=orjson.dumps(description(routes)), content_type="application/json")


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}_{route.handler.__name__}",
        "summary": (route.handler.__doc__ or "").strip().partition("\n")[0],
        "description": f"For {route.right.value}.",
        "parameters": _parameters(route),
        "responses": {
            **{str(status): _answer(name) for status, name in route.answers.items()},
            **{str(status): _problem(status) for status in route.refuses},
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(route.body)}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": SCHEMAS["Id" if name == "id" else "Name"],
        }
        for name in _PLACEHOLDER.findall(route.path)
    ]
    found += [
        {"name": name, "in": "query", "schema": schema} for name, schema in route.query.items()
    ]
    if route.body == "Draft":
        found.append({"name": "Idempotency-Key", "in": "header", "schema": SCHEMAS["Key"]})
    return found


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _answer(name: str) -> dict[str, Any]:
    if not name:
        return {"description": "Done."}
    if "/" in name:
        return {"description": "Done.", "content": {name: {}}}
    return {"description": "Done.", "content": _json(name)}


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}}
    return {"description": HTTPStatus(status).phrase, "content": content}
