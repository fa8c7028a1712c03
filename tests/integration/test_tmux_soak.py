"""Daemon and console are killed with SIGKILL at random while both sides talk (§5)."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from tests.harness.daemon import Daemon
from tests.harness.operator import Operator
from tests.harness.rooms import MakeDaemon
from tests.harness.soak import Progress, chance, seed
from tests.harness.tmux import Tmux
from tests.harness.waiting import eventually

ALL_THERE_S = 90.0
"""The daemon's pauses grow to 30 s."""

LIFE_S = 0.7
HOP_S = 0.06
"""About as long as what was said takes to its other side."""

TYPED_AGAIN_S = 3.0
"""How long the operator waits for a line to be shown as sent, and then types it anew."""


@dataclass(frozen=True)
class Size:
    """How much happens: `kills` of the daemon, about as many of the console, `texts` each way."""

    kills: int
    texts: int


SIZES = [
    pytest.param(Size(kills=5, texts=25), id="reduced"),
    pytest.param(Size(kills=20, texts=100), id="full", marks=pytest.mark.long),
]


class Soak:
    """One conversation at the console, and those who kill while it goes on.

    Attributes:
        typed: what the operator typed; only what was shown as sent then must arrive.
        sent: what the orchestrator sent.
    """

    def __init__(self, operator: Operator, daemon: Daemon, size: Size) -> None:
        self.seed = seed()
        self.typed: list[str] = []
        self.sent: list[str] = []
        self._operator = operator
        self._daemon = daemon
        self._size = size
        self._consoles_killed = 0
        self._progress = Progress()
        self._word = asyncio.Event()

    async def play(self) -> None:
        """Talk and kill until both are done, then look at what has arrived."""
        await self._operator.sit_down(again=True)
        await self._daemon.start()
        async with asyncio.TaskGroup() as acts:
            acts.create_task(self._operator_talks())
            acts.create_task(self._orchestrator_talks())
            acts.create_task(self._kill_daemons())
            acts.create_task(self._kill_consoles())
        await self._say("goodbye")
        await self._send("goodbye")
        await self._arrived()
        await self._check_heard()
        await self._check_shown()

    # -- talking -------------------------------------------------------------------------------

    async def _operator_talks(self) -> None:
        random = chance(self.seed, "operator")
        for number in range(self._size.texts):
            await self._turn(number, random)
            await self._say(f"in {number}")

    async def _orchestrator_talks(self) -> None:
        random = chance(self.seed, "orchestrator")
        for number in range(self._size.texts):
            await self._turn(number, random)
            await self._send(f"out {number}")

    async def _turn(self, number: int, random: Random) -> None:
        """Every life of the daemon gets its share of what is said, spread over it."""
        await self._progress.reached(number / self._size.texts - 1 / self._size.kills)
        share_s = LIFE_S * self._size.kills / self._size.texts
        await asyncio.sleep(random.uniform(0.0, 2 * share_s))

    async def _say(self, text: str) -> None:
        """Type until it is shown as sent; in other words each time, so that none is one twice."""
        for attempt in itertools.count(1):
            words = f"{text}, typed {attempt}"
            self.typed.append(words)
            self._begins()
            await self._operator.pane.submit(words)
            if await self._is_shown_as_sent(words):
                return

    async def _is_shown_as_sent(self, words: str) -> bool:
        async def probe() -> bool:
            return words in await self._operator.sent()

        try:
            return await eventually("a line of the operator's", probe, timeout_s=TYPED_AGAIN_S)
        except AssertionError:
            return False

    async def _send(self, text: str) -> None:
        self.sent.append(text)
        self._begins()
        await self._daemon.api.send_surely(text, key=text)

    def _begins(self) -> None:
        self._word.set()
        self._word = asyncio.Event()

    # -- killing -------------------------------------------------------------------------------

    async def _strike_time(self, random: Random) -> None:
        """Any instant at all, but more often than not one when something is under way."""
        await asyncio.sleep(random.uniform(0.0, LIFE_S))
        if random.random() < 0.8:
            with suppress(TimeoutError):
                async with asyncio.timeout(LIFE_S):
                    await self._word.wait()
            await asyncio.sleep(random.uniform(0.0, HOP_S))

    async def _kill_daemons(self) -> None:
        random = chance(self.seed, "daemon")
        for kills in range(self._size.kills):
            await self._strike_time(random)
            await self._daemon.kill()
            assert self._daemon.returncode == -signal.SIGKILL, "it had ended by itself"
            if random.random() < 0.2:
                self._daemon.spawn()  # the next kill may strike while it starts
            else:
                await self._daemon.start()
            await self._progress.move((kills + 1) / self._size.kills)

    async def _kill_consoles(self) -> None:
        random = chance(self.seed, "console")
        while not self._progress.over:
            console = await self._operator.console_now()
            await self._strike_time(random)
            os.kill(console.pid, signal.SIGKILL)
            self._consoles_killed += 1
            await self._operator.console()

    # -- what has arrived ----------------------------------------------------------------------

    async def _events(self) -> list[dict[str, Any]]:
        return await self._daemon.api.pending(after=0, types="message")

    async def _arrived(self) -> None:
        """Wait for the last words: whatever comes twice has come before them."""

        async def probe() -> bool:
            states = {item["state"] for item in await self._daemon.api.history(direction="out")}
            heard = (await self._events())[-1]["text"] == self.typed[-1]
            return heard and states == {"delivered"}

        await eventually("all that was said there", probe, timeout_s=ALL_THERE_S, pause_s=0.2)

    async def _check_heard(self) -> None:
        """What was shown as sent is there once and in order; and nothing that nobody typed."""
        shown = await self._operator.sent()
        events = [event["text"] for event in await self._events()]
        assert len(set(events)) == len(events), "something came twice"
        assert [text for text in events if text in set(shown)] == shown
        assert set(events) <= set(self.typed)

    async def _check_shown(self) -> None:
        """What was sent is on the screen in order, and once.

        But what a console had printed that was killed before it could confirm it comes again.
        """
        shown = [text for text in await self._operator.heard() if text in set(self.sent)]
        assert list(dict.fromkeys(shown)) == self.sent
        again = [text for text, count in Counter(shown).items() if count > 1]
        assert len(shown) - len(self.sent) == len(again) <= self._consoles_killed, again
        for text, following in itertools.pairwise(shown):
            assert self.sent.index(text) <= self.sent.index(following), shown


@pytest.mark.parametrize("size", SIZES)
async def test_daemon_and_console_may_be_killed_at_any_time_while_both_sides_talk(
    size: Size, tmux: Tmux, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(kind="tmux", env=tmux.env, socket_name=tmux.socket_name)
    run = Soak(Operator(tmux, daemon.state_dir), daemon, size)
    try:
        await run.play()
    except BaseException as error:
        error.add_note(f"reproduce with FLEETCHATD_TEST_SEED={run.seed}")
        error.add_note(f"the daemon said last\n{daemon.log_text[-4000:]}")
        raise
