"""What `GET /v1/health` says of the daemon, and how its one status word comes about."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from fleetchatd import __version__, places
from fleetchatd.connectors.base import Connector
from fleetchatd.errors import JournalError
from fleetchatd.journal.base import Journal, OutboxCounts, Subscriber
from fleetchatd.model import ConnectorHealth, HealthStatus, rfc3339

LOW_DISK_BYTES = 64 * 1024 * 1024
LOW_DISK_SHARE = 0.05
"""The disk is nearly full below both the bytes and this share of its size."""

FORGOTTEN_LAG = 10_000
FORGOTTEN_AGE_S = 7 * 86400.0
"""A subscriber that nobody reads holds much back from here on."""


class Observer:
    """Puts the daemon's health together; asks nobody outside."""

    def __init__(
        self, journal: Journal, state_dir: Path, roster: str, connected: Callable[[str], bool]
    ) -> None:
        self._journal = journal
        self._connected = connected
        self._state_dir = state_dir
        self._started = asyncio.get_running_loop().time()
        self.roster_loaded(roster)

    def roster_loaded(self, path: str) -> None:
        """A roster is in force from now on."""
        self._roster = {"path": path, "loaded_at": rfc3339(time.time()), "error": None}

    def roster_failed(self, error: str) -> None:
        """A reload was refused; the roster in force stays."""
        self._roster = {**self._roster, "error": error}

    def health(self, connector: Connector, present: ConnectorHealth) -> dict[str, Any]:
        """The object of `GET /v1/health`; what cannot be read counts as nothing, and is said."""
        now = asyncio.get_running_loop().time()
        last = present.last_receive
        try:
            counts = self._journal.outbox_counts(connector.target)
            subscribers = self._journal.subscribers()
            unreadable = None
        except JournalError as error:
            counts, subscribers = OutboxCounts(0, 0, 0, None), ()
            unreadable = str(error)
        broken = self._journal.error or unreadable
        status, problems = self._judge(present, broken, subscribers)
        return {
            "status": status,
            "problems": problems,
            "version": __version__,
            "uptime_s": round(now - self._started, 3),
            "roster": self._roster,
            "connector": {
                "kind": connector.kind,
                "reachable": present.reachable,
                "authenticated": present.authenticated,
                "receiving": present.receiving,
                "last_receive_age_s": None if last is None else round(now - last, 3),
                "detail": present.detail,
            },
            "outbox": {
                "queued": counts.queued,
                "waiting": counts.waiting,
                "oldest_age_s": counts.oldest_age_s,
                "failed": counts.failed,
            },
            "journal": {
                "last_seq": self._journal.last_seq,
                "size_bytes": self._journal.size_bytes,
                "path": str(self._state_dir.absolute() / places.JOURNAL),
                "error": broken,
            },
            "subscribers": [
                {"name": one.name, "connected": self._connected(one.name), "lag": one.lag}
                for one in subscribers
            ],
        }

    def _judge(
        self, present: ConnectorHealth, broken: str | None, subscribers: Sequence[Subscriber]
    ) -> tuple[HealthStatus, list[str]]:
        """The worst of what is wrong, and all of it in words."""
        down: list[str] = []
        degraded: list[str] = []
        if present.status != "ok":
            words = present.detail or f"the connector is {present.status}"
            (down if present.status == "down" else degraded).append(words)
        if broken is not None:
            down.append(broken)
        elif (low := self._low_disk()) is not None:
            degraded.append(low)
        degraded += _forgotten(one for one in subscribers if not self._connected(one.name))
        status: HealthStatus = "down" if down else "degraded" if degraded else "ok"
        return status, down + degraded

    def _low_disk(self) -> str | None:
        try:
            stat = os.statvfs(self._state_dir)
        except OSError as error:
            return f"cannot look at the disk of {self._state_dir}: {error.strerror}"
        free = stat.f_bavail * stat.f_frsize
        if free >= min(LOW_DISK_BYTES, LOW_DISK_SHARE * stat.f_blocks * stat.f_frsize):
            return None
        return f"the disk of {self._state_dir} is nearly full: {free // 1024} KiB left; make room"


def _forgotten(unread: Iterable[Subscriber]) -> list[str]:
    return [
        f"subscriber {one.name} has {one.lag} events to read; let somebody read them, or "
        f"forget it with `fleetchat unsubscribe {one.name}`"
        for one in unread
        if one.lag >= FORGOTTEN_LAG or (one.oldest_unacked_age_s or 0.0) >= FORGOTTEN_AGE_S
    ]
