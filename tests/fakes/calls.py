"""A request as the scripted homeserver got it, and the answer as it goes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web


@dataclass
class Call:
    """One request.

    Attributes:
        path: percent-decoded; `parts` has its segments, each decoded by itself.
        body: the parsed JSON, else the raw bytes; None without a body.
        status: what was answered; None while it is not, or when the connection was dropped.
        time: loop time, in seconds, of its arrival.
    """

    method: str
    path: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: Any
    token: str | None
    headers: Mapping[str, str]
    time: float
    status: int | None = None

    @classmethod
    async def read(cls, request: web.Request) -> Call:
        raw = await request.read()
        segments = request.rel_url.raw_path.strip("/").split("/")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return cls(
            method=request.method,
            path=request.path,
            parts=tuple(unquote(segment) for segment in segments),
            query=dict(request.query),
            body=_parsed(raw) if raw else None,
            token=token if scheme == "Bearer" else request.query.get("access_token"),
            headers=request.headers,
            time=asyncio.get_running_loop().time(),
        )


@dataclass(frozen=True)
class Answer:
    """A response: any status, any bytes."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    @classmethod
    def of(cls, body: object, status: int = 200, **headers: str) -> Answer:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        # Escaped to ASCII, so that a lone surrogate can be sent as honest servers might pass it on.
        encoded = json.dumps(body).encode()
        return cls(status, encoded, {"Content-Type": "application/json"} | named)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ConnectionDropped(Exception):  # noqa: N818 - reads as the outcome that it is
    """Close the connection instead of answering.

    Attributes:
        partial: sent before that, with the `Content-Length` of the whole answer.
    """

    def __init__(self, partial: Answer | None = None) -> None:
        super().__init__("the connection is dropped")
        self.partial = partial


async def cut(request: web.Request, partial: Answer | None) -> web.StreamResponse:
    """Send half of an answer, or nothing of it, and drop the connection."""
    response = web.StreamResponse()
    if partial is not None:
        response = web.StreamResponse(status=partial.status, headers=partial.headers)
        response.content_length = len(partial.body)
        await response.prepare(request)
        await response.write(partial.body[: len(partial.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw
