"""A kind's guide at work: what it finds, with a secret that is kept in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.guide import Finding, Guide
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret


class Kept:
    """The place of the one secret that a kind needs.

    Attributes:
        secret: what is there; None if nothing is.
    """

    def __init__(self, secret: Secret | str | None = None) -> None:
        self.secret = Secret(secret) if isinstance(secret, str) else secret

    @property
    def context(self) -> Context:
        """What a guide gets to work with."""
        return Context(
            orchestrator="mos",
            host="here",
            state_dir=Path("/nonexistent"),
            secret=self._get,
            store_secret=self._store,
            health_changed=lambda: None,
        )

    def _get(self, name: str) -> Secret:
        if self.secret is None:
            raise SecretError(f"cannot find the secret {name}: there is none; give one")
        return self.secret

    def _store(self, _: str, secret: Secret) -> None:
        self.secret = secret


async def examined(
    guide: Guide, settings: Mapping[str, Any], secret: Kept | Secret | str | None = None
) -> list[Finding]:
    """Everything that it finds. Each is a line, and what is amiss has its remedy."""
    kept = secret if isinstance(secret, Kept) else Kept(secret)
    found = [finding async for finding in guide.examine(settings, kept.context)]
    for finding in found:
        assert finding.what.isprintable(), finding
        assert len(finding.what) < 600
        assert (finding.remedy is None) == (finding.level == "ok"), finding
    return found


def amiss(found: list[Finding]) -> list[str]:
    """What is not as it should be, each on a line: `error WHAT -> REMEDY [ABOUT]`."""
    return [
        f"{one.level} {one.what} -> {one.remedy} [{one.about}]"
        for one in found
        if one.level != "ok"
    ]
