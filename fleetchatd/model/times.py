"""Times as the API writes them."""

from __future__ import annotations

import functools
from datetime import UTC, datetime


def rfc3339(unix_s: float) -> str:
    """A Unix time, in seconds, as the API writes it: `2026-11-22T13:00:00.123Z`."""
    try:
        milliseconds = int(unix_s * 1000)
        return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"
    except (ValueError, OverflowError, OSError):
        return f"{_second(0)}.000Z"


@functools.lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    """Formatting is slow, and most times are of the present second."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S}"
