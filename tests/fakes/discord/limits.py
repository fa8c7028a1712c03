"""Rate limits of the scripted Discord: buckets with their headers, and the answer to too much."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fakes.calls import Answer
from tests.fakes.discord.refusals import too_many


@dataclass(frozen=True)
class Limit:
    """So many requests in so many seconds, for a route and its channel."""

    count: int
    window_s: float


DEFAULT = Limit(1000, 1.0)
"""Much, so that tests are quick. The headers come all the same."""


@dataclass
class _Bucket:
    limit: Limit
    began: float = 0.0
    used: int = 0

    def take(self, at: float) -> bool:
        if at - self.began >= self.limit.window_s:
            self.began, self.used = at, 0
        self.used += 1
        return self.used <= self.limit.count

    def left_s(self, at: float) -> float:
        return max(0.0, self.began + self.limit.window_s - at)


@dataclass
class Limits:
    """All buckets of one server.

    Attributes:
        by_route: "METHOD pattern" to its limit; others have `DEFAULT`.
        refused: how many requests were too many.
    """

    by_route: dict[str, Limit] = field(default_factory=dict)
    refused: int = 0
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def take(self, route: str, major: str) -> tuple[Mapping[str, str], Answer | None]:
        """Count a request.

        Returns:
            The headers for its answer, and what to answer in its place if it is too much.
        """
        at = time.monotonic()
        limit = self.by_route.get(route, DEFAULT)
        bucket = self._buckets.get((route, major))
        if bucket is None or bucket.limit is not limit:
            bucket = self._buckets[route, major] = _Bucket(limit)
        admitted = bucket.take(at)
        left_s = bucket.left_s(at)
        headers = {
            "X-RateLimit-Bucket": hashlib.md5(route.encode()).hexdigest(),
            "X-RateLimit-Limit": str(limit.count),
            "X-RateLimit-Remaining": str(max(0, limit.count - bucket.used)),
            "X-RateLimit-Reset": f"{time.time() + left_s:.3f}",
            "X-RateLimit-Reset-After": f"{left_s:.3f}",
            "Via": "1.1 google",
        }
        if admitted:
            return headers, None
        self.refused += 1
        return headers, too_many(left_s)
