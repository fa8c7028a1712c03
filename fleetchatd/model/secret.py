"""What a connector shows its chat, to be let in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


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
    """

    value: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    device_id: str | None = None
    expires_at: float | None = None
    source: str = ""
    replaces: str | None = field(default=None, repr=False)

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
