"""What can be said of the way to a server before anybody logs in there, for a kind's `guide`."""

from __future__ import annotations

import email.utils
import math
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from fleetchatd.connectors.guide import Finding, Level
from fleetchatd.connectors.network import on_loopback, proxy_for, why
from fleetchatd.connectors.untrusted import mapping_of

TIMEOUT_S = 15.0
CLOCK_TOLERANCE_S = 60.0
CERTIFICATE_ENDS_SOON_S = 14 * 86400.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a server, whatever it said.

    Attributes:
        ahead_s: how far the server's clock is ahead of ours, in seconds; None if it does not say.
        valid_until: Unix time in seconds at which its certificate ends; None without TLS.
    """

    ahead_s: float | None
    valid_until: float | None


async def examine_way(url: str, *, about: str) -> list[Finding]:
    """Ask for `url`, without a secret, and say how the way there is.

    Args:
        url: any address at the server, of `https` or `http`; the answer's status does not matter.
        about: the setting that another server would be named in.

    Returns:
        What was found: proxy, connection, certificate, clock. The last one is an error if no
        answer came, and then nothing else need be tried.
    """
    findings = _proxy(url)
    try:
        answer = await _ask(url)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        what = f"cannot reach {_origin(url)}: {why(error)}"
        otherwise = f"see that it runs and can be reached from here, or mend {about} in the roster"
        return [*findings, finding("error", what, about, otherwise)]
    return [*findings, *judged(url, answer, time.time(), about=about)]


def judged(url: str, answer: Answer, now: float, *, about: str) -> list[Finding]:
    """What an answer tells of the connection and of the two clocks.

    Args:
        url: that was asked for.
        answer: that came.
        now: Unix time in seconds.
        about: the setting that another server would be named in.
    """
    return [*_connection(url, answer.valid_until, now, about), *_clock(answer.ahead_s)]


def finding(level: Level, sentence: str, about: str | None, otherwise: str | None) -> Finding:
    """A finding of a sentence `what; remedy`; `otherwise` is the remedy of one without."""
    what, _, remedy = sentence.rpartition("; ")
    return Finding(level, what or remedy, remedy if what else otherwise, about)


def _proxy(url: str) -> Sequence[Finding]:
    proxy = proxy_for(url)
    if proxy is None:
        return ()
    try:
        parts = urlsplit(proxy)
        name = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        name = "an address that is none"
    return (Finding("ok", f"goes through the proxy {name} ($HTTPS_PROXY, $NO_PROXY)"),)


def _connection(url: str, valid_until: float | None, now: float, about: str) -> Sequence[Finding]:
    where = _origin(url)
    if url.startswith("http:"):
        if on_loopback(urlsplit(url).hostname or ""):
            return (Finding("ok", f"{where} answers"),)
        what = f"{where} answers, unencrypted: the secret and all messages can be read on the way"
        return (Finding("warning", what, f"use https:// in {about} in the roster", about),)
    if valid_until is None:
        return (Finding("ok", f"{where} answers"),)
    day = time.strftime("%Y-%m-%d", time.gmtime(valid_until))
    what = f"{where} answers; its certificate is valid until {day}"
    if valid_until - now > CERTIFICATE_ENDS_SOON_S:
        return (Finding("ok", what),)
    return (Finding("warning", what, "have its administrator renew it before that day"),)


def _clock(ahead_s: float | None) -> Sequence[Finding]:
    if ahead_s is None:
        return ()
    if abs(ahead_s) <= CLOCK_TOLERANCE_S:
        return (Finding("ok", "this machine's clock agrees with the server's"),)
    side = "behind" if ahead_s > 0 else "ahead of"
    what = (
        f"this machine's clock is {_duration(abs(ahead_s))} {side} the server's; no message"
        " depends on it, but certificates and what expires do"
    )
    remedy = "have it set by NTP (timedatectl set-ntp true), or tell the server's administrator"
    return (Finding("warning", what, remedy),)


def _duration(seconds: float) -> str:
    for unit, size_s in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


# -- asking ---------------------------------------------------------------------------------------


class _Response(aiohttp.ClientResponse):
    """A response that remembers the certificate: the connection is gone once it has been read."""

    valid_until: float | None = None

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        transport = connection.transport
        peer = mapping_of(transport and transport.get_extra_info("peercert"))
        if "notAfter" in peer:
            self.valid_until = float(ssl.cert_time_to_seconds(peer["notAfter"]))
        return await super().start(connection)


async def _ask(url: str) -> Answer:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), response_class=_Response, timeout=timeout
    ) as session:
        began = time.time()
        async with session.get(url, proxy=proxy_for(url), allow_redirects=False) as response:
            middle = (began + time.time()) / 2
            valid_until = response.valid_until if isinstance(response, _Response) else None
            told = _server_time(response.headers.get("Date"), response.headers.get("Age"))
            return Answer(None if told is None else told - middle, valid_until)


def _server_time(date: str | None, age: str | None) -> float | None:
    """What the server's clock says, as Unix time; an answer out of a cache is older than it."""
    try:
        told = email.utils.parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return None
    cached_s = float(age) if age is not None and age.isascii() and age.isdecimal() else 0.0
    return told + cached_s if math.isfinite(cached_s) else None
