"""How the connector stands, put together from what its parts know, as health tells it."""

from __future__ import annotations

from dataclasses import dataclass

from fleetchatd.connectors.discord.place import VIEW, Place
from fleetchatd.model import ConnectorHealth

_WORDLESS = (
    "the last message came without its words; switch on Message Content Intent for the bot in "
    "Discord's developer portal, and reload"
)


@dataclass(slots=True)
class Standing:
    """What is known now.

    Attributes:
        allowed: who may speak; None: whoever sees a closed channel.
        fatal: why nothing is tried any more until a reload.
        unusable: why the channel cannot be used at all, found out after it was last looked at.
        place: the channel as it was seen last.
        signed_in: Discord accepted the token.
        reachable: the last that was asked was answered.
        connected: what happens in the channel is told to us.
        caught_up: what happened before that is journalled.
        lost: why nothing is told to us now.
        trouble: why what was told cannot be worked off now.
        wordless: the last message came without anything to show.
        last_receive: loop time, in seconds, of the last sign of life.
    """

    allowed: frozenset[str] | None
    fatal: str | None = None
    unusable: str | None = None
    place: Place | None = None
    signed_in: bool = False
    reachable: bool = False
    connected: bool = False
    caught_up: bool = False
    lost: str | None = None
    trouble: str | None = None
    wordless: bool = False
    last_receive: float | None = None

    @property
    def blocked(self) -> str | None:
        """Why nothing may be sent until a person acts; None if it may."""
        if self.fatal or self.unusable:
            return self.fatal or self.unusable
        verdict = self.place.verdict(self.allowed) if self.place is not None else None
        return verdict.detail if verdict is not None and verdict.status == "down" else None

    def health(self) -> ConnectorHealth:
        """The truth."""
        blocked, retried = self.blocked, self._retried()
        seen = self.place is not None and bool(self.place.mine & VIEW)
        detail = blocked or retried
        if detail is None and self.place is not None:
            verdict = self.place.verdict(self.allowed)
            detail = verdict.detail if verdict is not None else _WORDLESS if self.wordless else None
        return ConnectorHealth(
            status="down" if blocked else "degraded" if detail else "ok",
            reachable=self.reachable,
            authenticated=self.signed_in,
            receiving=not (self.fatal or self.unusable or retried) and seen,
            detail=detail,
            last_receive=self.last_receive,
        )

    def _retried(self) -> str | None:
        """Why what is said would not reach us now, although nobody needs to act."""
        if not self.connected:
            return self.lost or "connecting"
        return self.trouble or (None if self.caught_up else "catching up")
