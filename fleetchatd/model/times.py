"""Times as the API writes them."""

from __future__ import annotations

import functools
from datetime import UTC, datetime


def rfc3339(unix_s: float) -> str:
    """A Unix time, in seconds, as the API writes it: `2026-11-22T13:00:00.123Z`."""
    try:
        return rfc3339_of_ms(int(unix_s * 1000))
    except (ValueError, OverflowError, OSError):
        return rfc3339_of_ms(0)


def rfc3339_of_ms(unix_ms: int) -> str:
    """The same of a Unix time in milliseconds.

    Raises:
        ValueError, OverflowError, OSError: it is beyond the years 1 to 9999.
    """
    second, millisecond = divmod(unix_ms, 1000)
    return f"{_second(second)}.{millisecond:03d}Z"


@functools.lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    """Formatting is slow, and most times are of the present second."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S}"
