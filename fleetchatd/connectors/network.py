"""The way to a server: the proxy that leads there, and what is wrong with the way, in words.

And what is never taken there: a login that is another server's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from fleetchatd.connectors.untrusted import clause
from fleetchatd.errors import ElsewhereError
from fleetchatd.model import Secret


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for `url` (`HTTPS_PROXY`, `NO_PROXY`).

    None for plain http on loopback: that is this machine, and what is said there goes no further.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # whoever asks it will be told so
        return None
    if not parts.hostname or proxy_bypass(parts.netloc):
        return None
    if parts.scheme == "http" and on_loopback(parts.hostname):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def on_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def may_be_shown(secret: Secret, named: str, *leads_to: str) -> bool:
    """Whether a stored login may be shown to a server: to its own, under whatever name.

    On this machine a port is no name: a homeserver there moves to another, or is reached through
    a proxy or a tunnel. So a login for one of this machine's may be shown to all of them.
    """
    return secret.is_for(named, *leads_to) or all(
        map(_on_this_machine, (*secret.servers, named, *leads_to))
    )


def _on_this_machine(server: str) -> bool:
    try:
        host = urlsplit(server if "://" in server else f"//{server}").hostname
    except ValueError:
        return False
    return on_loopback(host or "")


def refuse_elsewhere(secret: Secret, kind: str, named: str, *leads_to: str) -> None:
    """Refuse to show a stored login to another server than the one that it is for.

    Args:
        secret: that is about to be shown.
        kind: of chat.
        named: the server, as the roster has it.
        leads_to: what that name was found to lead to.

    Raises:
        ElsewhereError: it is another server's.
    """
    if not may_be_shown(secret, named, *leads_to):
        raise ElsewhereError(
            f"cannot use the stored login: it is for {secret.servers[0]}, the roster names {named};"
            f" run `fleetchat login {kind}`, and reload"
        )


def why(error: BaseException) -> str:
    """A network error in words, with `; REMEDY` where there is one.

    Never an address, which may hold a proxy's password.
    """
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _of_certificate(error.certificate_error)
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answered {error.status} {clause(error.message)}".rstrip()
        case aiohttp.WSServerHandshakeError():
            return f"it answered {error.status}"
        case aiohttp.InvalidURL() | ValueError():
            return "its address is none; mend $HTTPS_PROXY, or the URL in the roster"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection without an answer"
        case asyncio.TimeoutError():
            return "no answer came in time"
    return _of_the_system(error) or f"it did not answer as it should ({type(error).__name__})"


_EXPIRED = (9, 10)
_ANOTHER_NAME = (62, 64)
"""X509_V_ERR_… of OpenSSL: not yet valid, expired; another host name, another address."""


def _of_certificate(error: Exception) -> str:
    reason, code = getattr(error, "verify_message", error), getattr(error, "verify_code", None)
    remedy = "name its authority's certificate in SSL_CERT_FILE, if that is a private one"
    if code in _EXPIRED:
        remedy = "have its administrator renew it, and see that this machine's clock is right"
    elif code in _ANOTHER_NAME:
        remedy = "use the name that it is made out for"
    return f"its certificate is not trusted ({clause(reason)}); {remedy}"


def _of_the_system(error: BaseException) -> str | None:
    """What the operating system or OpenSSL says, without the addresses that aiohttp adds."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if not isinstance(cause, OSError) or not cause.strerror:
        return None
    reason = cause.strerror.split(" [")[0]
    if cause.errno and not isinstance(cause, ssl.SSLError | socket.gaierror):
        reason = os.strerror(cause.errno)
    through = isinstance(error, aiohttp.ClientProxyConnectionError)
    return f"{reason}, on the way to the proxy; see $HTTPS_PROXY" if through else reason
