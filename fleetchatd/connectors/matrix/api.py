"""Requests to the homeserver's client-server API, without an SDK, so that any homeserver will do.

Whatever answers is hostile until parsed: sizes are bounded, types checked by the callers.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlsplit

import aiohttp
import orjson
from yarl import URL

from fleetchatd.connectors.network import proxy_for, why
from fleetchatd.connectors.untrusted import clause, json_of, text_of
from fleetchatd.logs import without_secrets

REQUEST_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024

LONGEST_PAUSE_S = 3600.0
"""A server that asks for more patience than this is asked again all the same."""

# Answers that a retry may change, whatever errcode stands in them.
_PASSING = frozenset({408, 425})

_VISIBLE = re.compile(r"[!-~]{1,2048}")

_TOO_LARGE = 413  # a proxy on the way says so too, in words of its own


class ApiError(Exception):
    """A request that gave nothing to work with."""


class Unreachable(ApiError):  # noqa: N818 - reads as the outcome that it is
    """No answer came.

    Attributes:
        never_sent: whether the server certainly did not get the request.
    """

    def __init__(self, reason: str, *, never_sent: bool) -> None:
        super().__init__(reason)
        self.never_sent = never_sent


@dataclass
class Refused(ApiError):  # noqa: N818 - reads as the outcome that it is
    """The server answered with an error ("Standard error response").

    Attributes:
        errcode: `M_…`; empty where a proxy or something else that is no homeserver answered.
    """

    status: int
    errcode: str
    reason: str
    retry_after_s: float | None = None
    soft_logout: bool = False

    def __str__(self) -> str:
        words = f"{self.errcode}: {self.reason}" if self.errcode else self.reason
        return f"the homeserver answered {self.status} {words}".rstrip(" :")

    @property
    def patience_s(self) -> float | None:
        """How long to wait at least, whatever else succeeds meanwhile; None: it asks for nothing.

        Without a time, a 429 asks for our own pause, uncut.
        """
        return 0.0 if self.status == 429 and self.retry_after_s is None else self.retry_after_s

    @property
    def unwelcome(self) -> bool:
        """Whether the homeserver refuses the account, whatever it is asked."""
        return self.status == 401 and self.errcode != ""

    @property
    def logged_out(self) -> bool:
        """Whether the access token does not do any more ("Soft logout")."""
        return self.status == 401 and self.errcode in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN")

    @property
    def final(self) -> bool:
        """Whether the same request would be refused again."""
        return self.status == _TOO_LARGE or (
            400 <= self.status < 500
            and self.status not in (401, 429)
            and self.status not in _PASSING
            and self.errcode not in ("", "M_UNRECOGNIZED", "M_LIMIT_EXCEEDED")
        )


class Api:
    """The requests of one account to one homeserver.

    Args:
        base_url: of the homeserver, without `/_matrix`.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.token: str | None = None
        self._session: aiohttp.ClientSession | None = None
        self._proxy = proxy_for(self.base_url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
        token: bool = True,
        follow: bool = False,
    ) -> dict[str, Any]:
        """Ask, and give the answer's JSON object.

        Args:
            method: of HTTP.
            path: below the base URL, encoded, with its query.
            body: a JSON object.
            timeout_s: for everything together.
            token: whether to show the access token.
            follow: whether a redirection may be followed.

        Raises:
            Unreachable: no answer came.
            Refused: an error came, or what is no JSON object.
        """
        headers = {"Authorization": f"Bearer {self.token}"} if token else {}
        data = None
        if body is not None:
            data = orjson.dumps(body)
            headers["Content-Type"] = "application/json"
        url = self._url(path)
        response = None
        try:
            response = await self._open().request(
                method,
                url,
                data=data,
                headers=headers,
                timeout=_timeout(timeout_s),
                proxy=self._proxy,
                allow_redirects=follow,
            )
            return _parsed(response, await _read(response))
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(why(error), never_sent=True) from None
        except aiohttp.ConnectionTimeoutError:
            raise Unreachable("connecting took too long", never_sent=True) from None
        except (TimeoutError, asyncio.IncompleteReadError):
            raise Unreachable("no answer came in time", never_sent=False) from None
        except (aiohttp.ClientError, OSError, UnicodeError) as error:  # the last: of an odd name
            raise Unreachable(why(error), never_sent=False) from None
        finally:
            if response is not None:
                response.release()

    def _url(self, path: str) -> URL:
        try:
            url = URL(f"{self.base_url}{path}", encoded=True)
            _ = url.port  # only now is one above 65535 found out
        except ValueError as error:
            raise Unreachable(why(error), never_sent=True) from None
        return url

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=2**18
            )
        return self._session

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def base_url_of(homeserver: str) -> str:
    """The base URL for what the roster says: a URL, or a server name to look up.

    "Server Discovery, Well-known URI": without a document the name itself is the server.

    Raises:
        Unreachable: the lookup got no answer.
        Refused: it got one that leads nowhere.
    """
    if "://" in homeserver:
        return homeserver
    async with Api(f"https://{homeserver}") as origin:
        try:
            document = await origin.request(
                "GET", "/.well-known/matrix/client", token=False, follow=True
            )
        except Refused as refusal:
            if refusal.status == 404:
                return origin.base_url
            raise
    found = document.get("m.homeserver")
    url = found.get("base_url") if isinstance(found, dict) else None
    if not _is_base_url(url):
        raise Refused(200, "", f"and {homeserver}/.well-known/matrix/client names no base_url")
    return str(url)


def _is_base_url(url: object) -> bool:
    try:
        parts = urlsplit(url if isinstance(url, str) and _VISIBLE.fullmatch(url) else "")
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@functools.lru_cache(maxsize=8)
def _timeout(total_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total_s, sock_connect=CONNECT_TIMEOUT_S)


@functools.lru_cache(maxsize=64)
def path(*parts: str) -> str:
    """A path below `/_matrix/client/v3`, with its parts encoded."""
    return "/_matrix/client/v3/" + "/".join(quote(part, safe="") for part in parts)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    length = response.content_length
    packed = "Content-Encoding" in response.headers  # the length says nothing then
    if length is not None and length <= MAX_ANSWER_BYTES and not packed:
        return await response.read()
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise Refused(response.status, "", f"more than {MAX_ANSWER_BYTES} bytes came")
    return b"".join(chunks)


def _parsed(response: aiohttp.ClientResponse, raw: bytes) -> dict[str, Any]:
    try:
        found = json_of(raw)
    except ValueError:
        found = None
    if response.status == 200 and isinstance(found, dict):
        return found
    if not isinstance(found, dict):
        raise Refused(response.status, "", "and no JSON object")
    raise _refusal(response, found)


def _refusal(response: aiohttp.ClientResponse, found: dict[str, Any]) -> Refused:
    return Refused(
        response.status,
        clause(found.get("errcode"), 100),
        clause(without_secrets(text_of(found.get("error"))), 300),  # it may quote our own header
        retry_after_s=_retry_after_s(response, found),
        soft_logout=found.get("soft_logout") is True,
    )


def _retry_after_s(response: aiohttp.ClientResponse, found: dict[str, Any]) -> float | None:
    """How long the server wants us to wait ("Rate limiting"), in seconds, an hour at most."""
    milliseconds = found.get("retry_after_ms")
    if isinstance(milliseconds, int | float) and milliseconds >= 0:
        return min(milliseconds, LONGEST_PAUSE_S * 1000) / 1000
    header = response.headers.get("Retry-After", "")
    if header.isascii() and header.isdecimal():
        return min(float(header), LONGEST_PAUSE_S)
    return None
