"""How often we may still identify: Discord takes the token away from who does it too often.

A bot may identify 1,000 times a day, and once in five seconds ("Session Start Limit", "Rate
Limiting" of the gateway). A process that is started again and again must know of the one before
it, so the time of the last attempt is kept in the state directory.
"""

from __future__ import annotations

import asyncio
import os
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog

from fleetchatd.connectors.discord.rest import Refused, Rest
from fleetchatd.connectors.untrusted import mapping_of, text_of
from fleetchatd.model import rfc3339

EVERY_S = 6.0
"""One attempt in so many seconds: five by the rule, and one that the way there may take."""

FEW = 10
"""So many attempts are left to whoever mends what made us spend the others."""

ASK_AGAIN_S = 600.0
"""How long we wait at most before asking again whether there are more, in seconds."""

_ALL = 1000
_LONGEST_RESET_S = 86_400.0

log = structlog.get_logger("fleetchatd.connector")


class Spent(Exception):  # noqa: N818 - reads as the outcome that it is
    """Few attempts are left, so none is made now.

    Attributes:
        wait_s: how long to wait before asking again, in seconds.
    """

    def __init__(self, remaining: int, reset_s: float) -> None:
        at = rfc3339(time.time() + reset_s)
        super().__init__(
            f"waiting to identify: {remaining} attempts are left, and Discord gives new ones at "
            f"{at}; find out what restarts this bot so often"
        )
        self.wait_s = max(1.0, min(reset_s, ASK_AGAIN_S))


class Terms(NamedTuple):
    """What `GET /gateway/bot` says."""

    url: str
    remaining: int
    reset_s: float


class Budget:
    """The attempts of one bot.

    Args:
        state_dir: the daemon's; a file in its folder `discord` keeps the time of the last one.
    """

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / "discord" / "identified-at"
        self._last: float | None = None

    async def turn(self, rest: Rest) -> str:
        """Wait until it is our turn to identify.

        Returns:
            The gateway's URL.

        Raises:
            RestError: Discord could not be asked.
            Spent: not now.
        """
        terms = terms_of(await rest.ask("GET", "/gateway/bot"))
        if terms.remaining <= FEW:
            raise Spent(terms.remaining, terms.reset_s)
        await asyncio.sleep(self._left_s(time.time()))
        return terms.url

    def spend(self) -> None:
        """Note an attempt, just before it is made."""
        self._last = time.time()
        new = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            new.write_text(f"{self._last:.3f}\n")
            os.replace(new, self._file)
        except OSError as error:  # a full disk, say: this process remembers all the same
            log.warning("cannot keep the time of identifying", reason=error.strerror)

    def _left_s(self, now: float) -> float:
        """How long the last attempt still holds up the next one, in seconds."""
        if self._last is None:
            try:
                self._last = float(self._file.read_text())
            except (OSError, ValueError):
                self._last = float("-inf")
        # A clock that was set back must not hold us up for longer than the rule does.
        return max(0.0, min(self._last + EVERY_S - now, EVERY_S))


def terms_of(answer: Any) -> Terms:
    """What the answer to `GET /gateway/bot` says; a server may know no budget.

    Raises:
        Refused: it names no gateway that we may go to.
    """
    answer = mapping_of(answer)
    limit = mapping_of(answer.get("session_start_limit"))
    url, remaining, reset_ms = answer.get("url"), limit.get("remaining"), limit.get("reset_after")
    if not is_gateway(url):
        raise Refused(200, 0, "without naming a gateway that may be used")
    left = remaining if type(remaining) is int else _ALL
    reset_s = reset_ms / 1000 if isinstance(reset_ms, int | float) else 0.0
    return Terms(text_of(url), left, min(max(0.0, reset_s), _LONGEST_RESET_S))


def is_gateway(url: object) -> bool:
    """Whether the token may be shown there: encrypted, or to this machine."""
    try:
        parts = urlsplit(text_of(url))
        if parts.scheme == "wss":
            return bool(parts.hostname)
        host = parts.hostname or ""
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
    return parts.scheme == "ws" and loopback
