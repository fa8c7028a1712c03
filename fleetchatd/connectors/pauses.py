"""The pauses between retries: growing, jittered, and over when something succeeds."""

from __future__ import annotations

import asyncio
import random

FIRST_S = 0.5
LONGEST_S = 30.0

SHORTEST_S = 0.25
"""What is left of a pause when something succeeds, in seconds: in a busy room that is often."""


def pause_s(failures: int, jitter: float) -> float:
    """The pause, in seconds, after that many failures in a row (`jitter` from 0 to 1).

    Doubles from half a second to 30 s, and takes between half and the whole of that.
    """
    whole: float = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 10))
    return whole * (0.5 + jitter / 2)


class Pauses:
    """One connector's pauses, shared by its two directions."""

    def __init__(self) -> None:
        self.failures = 0
        self._over = asyncio.Event()

    def succeeded(self) -> None:
        """Something worked: the pauses begin anew, and whoever waits tries again soon."""
        if self.failures:
            self.failures = 0
            self._over.set()

    async def wait(self, at_least_s: float | None = None) -> None:
        """Count a failure and sleep until it is time to try again.

        Args:
            at_least_s: what the server asked for; it is obeyed whatever else succeeds. A server
                that asks for nothing gets our own pause all the same.
        """
        self.failures += 1
        length_s = pause_s(self.failures, random.random())  # noqa: S311 - not for secrecy
        if at_least_s is not None:
            await asyncio.sleep(max(at_least_s, length_s))
            return
        self._over.clear()
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(length_s):
                await self._over.wait()
        except TimeoutError:
            return
        waited_s = asyncio.get_running_loop().time() - began
        await asyncio.sleep(min(SHORTEST_S, length_s) - waited_s)
