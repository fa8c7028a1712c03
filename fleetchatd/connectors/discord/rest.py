"""Requests to Discord's REST API (v10), and what became of them.

discord.py's own client makes them: it knows the rate limits, waits for them, and repeats what
Discord's proxies dropped. Its models are not used; what an answer says is parsed here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self, cast

import aiohttp
import discord.utils
from discord.http import Route

from fleetchatd.connectors.discord.raw import id_of
from fleetchatd.connectors.discord.settings import SCHEMA
from fleetchatd.connectors.network import proxy_for, why
from fleetchatd.connectors.untrusted import clause, json_of, mapping_of, one_line, text_of
from fleetchatd.logs import without_secrets

REQUEST_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
LONGEST_PAUSE_S = 3600.0

LONGEST_LIMIT_S = 30.0
"""A rate limit that lasts longer is not sat out in a request, in seconds."""

SIGN_IN_S = LONGEST_LIMIT_S + REQUEST_TIMEOUT_S
"""How long signing in may take: the library itself would wait for minutes, in seconds."""

LONGEST_NAME = 100
"""How much of a name is shown, in characters."""

DEFAULT_API_URL: str = SCHEMA["properties"]["api_url"]["default"]

NOT_FOUND = 404
TOO_MANY = 429

NOT_THERE = (NOT_FOUND, 405, 501)
"""Statuses of what a server does not have."""

_WHOLE = re.compile("[0-9]{1,10}")

_answers: ContextVar[list[int]] = ContextVar("_answers")
"""HTTP statuses that came for one request."""

# It warns of every pause it makes and of voice libraries that are missing; what matters of that
# comes as an error, and is reported by us.
logging.getLogger("discord").setLevel(logging.ERROR)

# Its own way to read JSON would be stuck for ever at a message that holds half a surrogate pair.
discord.utils._from_json = json_of  # type: ignore[assignment] # it has text, never a view


class RestError(Exception):
    """A request did not do what it was to."""


class Unreachable(RestError):  # noqa: N818 - reads as the outcome that it is
    """No answer that says anything came.

    Attributes:
        never_sent: the request certainly never left.
    """

    def __init__(self, reason: str, *, never_sent: bool) -> None:
        super().__init__(reason)
        self.never_sent = never_sent


@dataclass
class Refused(RestError):  # noqa: N818
    """Discord answered with an error ("JSON error codes"); `code` is 0 where it gave none.

    Attributes:
        doubtful: an earlier try of the same request ended in a way that leaves open what it did.
    """

    status: int
    code: int
    reason: str
    retry_after_s: float | None = None
    doubtful: bool = False

    def __str__(self) -> str:
        number = f" ({self.code})" if self.code else ""
        return f"Discord answered {self.status} {self.reason}{number}".rstrip()

    @property
    def unwelcome(self) -> bool:
        """Whether the token is refused, whatever is asked."""
        return self.status == 401

    @property
    def final(self) -> bool:
        """Whether the same request would be refused again."""
        return 400 <= self.status < 500 and self.status not in (401, 408, 425, 429) and self.told

    @property
    def told(self) -> bool:
        """Whether Discord itself said so, and not something on the way to it."""
        return self.code != 0


class Rest:
    """One bot's requests.

    Attributes:
        client: the library's, for the gateway.
        me: the bot's id.
        name: the bot's name.
    """

    def __init__(
        self, client: discord.Client, me: str, name: str, resources: AsyncExitStack
    ) -> None:
        self.client = client
        self.me = me
        self.name = name
        self._resources = resources

    @classmethod
    async def sign_in(cls, api_url: str, token: str) -> Self:
        """Show the token, and learn whose it is ("Get Current User").

        Raises:
            RestError: it could not be told, or the token is refused.
        """
        Route.BASE = api_url  # the library has one for all, so that every start sets it anew
        intents = discord.Intents.none()
        intents.guilds = intents.guild_messages = intents.guild_reactions = True
        intents.message_content = True
        resources = AsyncExitStack()
        try:
            client = await resources.enter_async_context(_client(intents, proxy_for(api_url)))
            # It keeps no picture of the guild: who reads what the gateway tells is intake.py.
            client._connection.parsers.clear()
            async with asyncio.timeout(SIGN_IN_S):
                me, name = _whose(_parsed(await client.http.static_login(token)))
        except BaseException as error:
            await resources.aclose()
            raise await _signing_in(error) if isinstance(error, Exception) else error from None
        return cls(client, me, name, resources)

    async def close(self) -> None:
        """Close the connections."""
        await self._resources.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        **places: str,
    ) -> Any:
        """Ask, and give the answer's JSON, of whatever type.

        Args:
            method: of HTTP.
            path: below the API's URL, with the names of `places` in braces.
            query: of the URL.
            body: a JSON object.
            places: ids that stand in the path; rate limits go by `channel_id` and `guild_id`.

        Raises:
            Unreachable: no answer came.
            Refused: an error came.
        """
        more: dict[str, Any] = {} if body is None else {"json": body}
        if query is not None:
            more["params"] = dict(query)
        timeout = aiohttp.ClientTimeout(REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        answers: list[int] = []
        _answers.set(answers)
        try:
            answer = await self.client.http.request(
                Route(method, path, **places), timeout=timeout, allow_redirects=False, **more
            )
        except Exception as error:
            doubtful = any(status >= 500 for status in answers)
            raise _translated(error, await _patience_s(error), doubtful=doubtful) from None
        return _parsed(answer)

    async def ask_if_there(self, path: str, **how: Any) -> Any:
        """GET what not every server that speaks this API has; None from one that has it not.

        Raises:
            RestError: as `ask` does.
        """
        try:
            return await self.ask("GET", path, **how)
        except Refused as refusal:
            if refusal.status not in NOT_THERE:
                raise
            return None


def _whose(user: object) -> tuple[str, str]:
    """The id and the name of the bot that a token belongs to."""
    me, name = id_of(mapping_of(user).get("id")), mapping_of(user).get("username")
    if me is None:
        raise Refused(200, 0, "without saying who we are")
    return me, one_line(name, LONGEST_NAME) or me


async def _signing_in(error: Exception) -> RestError:
    """Why signing in failed, in our words."""
    if isinstance(error, RestError):
        failure = error
    else:
        failure = _translated(error, await _patience_s(error))
    if isinstance(failure, Refused) and failure.status == NOT_FOUND:
        failure.reason += "; mend connector.discord.api_url in the roster"
    return failure


def _parsed(answer: Any) -> Any:
    """An answer's JSON. The library leaves it as text if its type has a charset behind it."""
    if not isinstance(answer, str):
        return answer
    try:
        return json_of(answer) if answer else None
    except ValueError:
        return answer


def _client(intents: discord.Intents, proxy: str | None) -> discord.Client:
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(_note_answer)
    return discord.Client(
        intents=intents,
        proxy=proxy,
        http_trace=trace,
        max_messages=None,
        member_cache_flags=discord.MemberCacheFlags.none(),
        chunk_guilds_at_startup=False,
        max_ratelimit_timeout=LONGEST_LIMIT_S,
    )


async def _note_answer(_: object, __: object, ended: aiohttp.TraceRequestEndParams) -> None:
    """The library repeats some requests by itself; its last error tells only of the last try."""
    _answers.get([]).append(ended.response.status)


def _translated(error: Exception, patience_s: float | None, *, doubtful: bool = False) -> RestError:
    """A failure of the library's, in our words."""
    if isinstance(error, discord.LoginFailure) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if isinstance(error, discord.RateLimited):
        pause_s = min(error.retry_after, LONGEST_PAUSE_S)
        reason = f"and wants us to wait for {pause_s:.0f} s"
        return Refused(429, 0, reason, retry_after_s=pause_s, doubtful=doubtful)
    if isinstance(error, discord.HTTPException):
        code, text = error.code, error.text
        told = mapping_of(_parsed(text)) if code == 0 else {}
        if isinstance(told.get("code"), int):
            code, text = told["code"], text_of(told.get("message"))
        text = without_secrets(text.removeprefix(f"{error.status}: "))  # that was said already
        reason = "" if text.lstrip().startswith("<") else clause(text)  # of a proxy, in HTML
        return Refused(error.status, code, reason, patience_s, doubtful)
    return Unreachable(why(error), never_sent=_never_sent(error) and not doubtful)


async def _patience_s(error: Exception) -> float | None:
    """How long a 429 wants us to wait, in seconds; our own pause, uncut, if it names no time.

    The library waits only where Discord's own proxy answered ("Via"), and its error has nothing of
    the answer but the message; the answer, read already, stays with it.
    """
    if not isinstance(error, discord.HTTPException) or error.status != TOO_MANY:
        return None
    text = await cast("aiohttp.ClientResponse", error.response).text("utf-8", "replace")
    told = mapping_of(_parsed(text)).get("retry_after")
    if isinstance(told, int | float) and told >= 0:
        return min(told, LONGEST_PAUSE_S)
    header = error.response.headers.get("Retry-After", "")
    return min(float(header), LONGEST_PAUSE_S) if _WHOLE.fullmatch(header) else 0.0


def _never_sent(error: Exception) -> bool:
    return isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
