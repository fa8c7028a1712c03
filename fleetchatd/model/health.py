"""What a connector says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HealthStatus = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class ConnectorHealth:
    """What a connector can truthfully say of itself now.

    Attributes:
        status: `down` when a person must act, `degraded` while something is retried.
        reachable: the last request was answered.
        authenticated: the chat accepted our secret, and it is the configured account.
        receiving: what is said in the chat would reach us now.
        detail: one sentence, or None when all is well.
        last_receive: loop time, in seconds, of the last answer to the receiver; None before it.
    """

    status: HealthStatus
    reachable: bool
    authenticated: bool
    receiving: bool
    detail: str | None = None
    last_receive: float | None = None

    def same_as(self, other: ConnectorHealth) -> bool:
        """Whether nothing but an age differs."""
        return (
            self.status == other.status
            and self.reachable == other.reachable
            and self.authenticated == other.authenticated
            and self.receiving == other.receiving
            and self.detail == other.detail
        )
