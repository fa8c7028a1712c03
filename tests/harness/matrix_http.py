"""The barest client-server API client: one request, one answer, no state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
from yarl import URL

CLIENT_API = "/_matrix/client/v3"


class Answer(NamedTuple):
    """What a server said: any status."""

    status: int
    body: Any
    headers: Mapping[str, str]


class MatrixError(Exception):
    """A homeserver refused what a test asked for."""

    def __init__(self, request: str, answer: Answer) -> None:
        super().__init__(f"{request}: {answer.status} {answer.body}")
        self.status = answer.status
        self.errcode = answer.body.get("errcode") if isinstance(answer.body, dict) else None


def path(*parts: str) -> str:
    """A path under `/_matrix/client/v3` with its parts percent-encoded."""
    return "/".join([CLIENT_API, *(quote(part, safe="") for part in parts)])


async def ask(
    base_url: str,
    method: str,
    path_: str,
    body: object = None,
    *,
    token: str | None = None,
    query: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
) -> Answer:
    """Make one request on a connection of its own, so that nothing outlives a server's restart."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = URL(base_url + path_, encoded=True).update_query(query or {})
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        session._retry_connection = False  # aiohttp would hide a lost answer by a second PUT
        async with session.request(method, url, json=body, headers=headers) as answer:
            content = await answer.json(content_type=None) if await answer.read() else None
            return Answer(answer.status, content, answer.headers)


async def demand(
    base_url: str,
    method: str,
    path_: str,
    body: object = None,
    *,
    token: str | None = None,
    query: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
) -> Any:
    """Like `ask`, for a request that must succeed: return the body.

    Raises:
        MatrixError: the server answered anything but 2xx.
    """
    answer = await ask(base_url, method, path_, body, token=token, query=query, timeout_s=timeout_s)
    if not 200 <= answer.status < 300:
        raise MatrixError(f"{method} {path_}", answer)
    return answer.body
