"""What a connector shows its chat, to be let in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

_USUAL_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret and what came with it.

    Attributes:
        value: the access token itself.
        refresh_token: for a successor, where the login gave one.
        device_id: the device the login made.
        expires_at: Unix time in seconds; None when it is not known.
        source: where it was found, for people.
        replaces: SHA-256 of the *configured* secret that it stands for, however many refreshes
            ago that was; None for a login of its own.
        servers: the server that it is for, first as a person has named it, then whatever that
            leads to: URLs, or bare names. Empty where it is not known, as for a configured one.
    """

    value: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    device_id: str | None = None
    expires_at: float | None = None
    source: str = ""
    replaces: str | None = field(default=None, repr=False)
    servers: tuple[str, ...] = ()

    def is_for(self, *servers: str) -> bool:
        """Whether it may be shown to a server that goes by these names or URLs.

        What counts is the origin (RFC 6454: scheme, host, port): who holds that holds everything
        below it, so that paths, slashes and the letters' case may change.
        """
        return not self.servers or not {*map(_origin, self.servers)}.isdisjoint(
            map(_origin, servers)
        )

    def refreshed(
        self, value: str, *, refresh_token: str | None = None, expires_at: float | None = None
    ) -> Secret:
        """Its successor, which outranks the configured secret that it came from.

        Args:
            value: the new access token.
            refresh_token: the new one; None keeps the old, as a server may (Matrix CS API §5.7).
            expires_at: Unix time in seconds, if known.
        """
        return replace(
            self,
            value=value,
            refresh_token=refresh_token or self.refresh_token,
            expires_at=expires_at,
        )


def _origin(server: str) -> object:
    """Of a URL; a bare name stands for `https://`, where it would be looked up."""
    try:
        parts = urlsplit(server if "://" in server else f"https://{server}")
        return parts.scheme, parts.hostname, parts.port or _USUAL_PORTS.get(parts.scheme)
    except ValueError:  # no URL; whoever asks there will be told so
        return server
