"""Waiting for a condition, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    what: str,
    probe: Callable[[], Awaitable[T | None]],
    *,
    timeout_s: float = 20.0,
    pause_s: float = 0.05,
) -> T:
    """Ask `probe` until it answers something true, and return that.

    Raises:
        AssertionError: `what` did not happen within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := await probe():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s:g} s")
        await asyncio.sleep(pause_s)
