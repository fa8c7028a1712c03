"""A long conversation through a homeserver that misbehaves in every way it can (§5).

`FLEETCHATD_SOAK_S` sets how long the long one lasts, in seconds.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.fakes import faults
from tests.fakes.faults import Action
from tests.fakes.homeserver import FakeHomeserver, FakeMatrixRoom
from tests.fakes.profiles import CONDUIT, SYNAPSE, Profile
from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.soak import Conversation, Line, Say, chance, seed
from tests.harness.soak_children import Subscriber
from tests.harness.soak_evidence import cpu_s, rss_bytes, shown_on_failure

ALL_THERE_S = 150.0
"""A hung request holds its thread for 30 s, and the pauses grow to 30 s."""

GROWTH_BYTES = 16 << 20
IDLE_SHARE = 0.01
"""Of one processor, by a daemon that has nothing to do; besides one tick of the kernel's clock."""


@dataclass(frozen=True)
class Duration:
    """How long a soak lasts.

    Attributes:
        deaths_s: with deaths of every process.
        faults_s: after that, with faults of the homeserver only, in one life of the daemon.
        idle_s: how long it is watched doing nothing.
        hangs: requests hang until the daemon gives them up.
    """

    deaths_s: float
    faults_s: float
    idle_s: float
    hangs: bool


_WHOLE_S = float(os.environ.get("FLEETCHATD_SOAK_S", "600"))
DURATIONS = [
    pytest.param(Duration(3.0, 2.0, 1.0, hangs=False), id="reduced"),
    pytest.param(
        Duration(_WHOLE_S / 2, _WHOLE_S / 2, 30.0, hangs=True), id="full", marks=pytest.mark.long
    ),
]

Make = Callable[[Random], Action]
FAULTS: Sequence[Make] = (
    lambda random: faults.refuse(random.choice((500, 502, 503, 504))),
    lambda random: faults.refuse(
        429, "M_LIMIT_EXCEEDED", retry_after_ms=random.randrange(0, 2000), retry_after="1"
    ),
    lambda _random: faults.html(),
    lambda _random: faults.drop(),
    lambda _random: faults.lose_answer(),
    lambda _random: faults.cut_answer(),
    lambda _random: faults.truncate(),
    lambda random: faults.delay(random.uniform(0.1, 3.0)),
    lambda _random: faults.rewrite(faults.duplicate_timelines),
)
PATHS = (("PUT", "*/send/*"), ("GET", "*/sync"), ("GET", "*/messages"), ("*", "*"))


class Soak:
    """One conversation in a scripted room, and all that goes wrong around it."""

    def __init__(
        self, room: FakeMatrixRoom, daemon: Daemon, directory: Path, duration: Duration
    ) -> None:
        self.seed = seed()
        self.daemon = daemon
        self.subscriber = Subscriber(daemon.socket, directory / "subscriber")
        self._room = room
        self._duration = duration
        self._random = chance(self.seed, "faults")
        self._talk = Conversation(room, daemon, self.subscriber, _scripted(room))

    async def play(self) -> None:
        """Talk under faults, then look at what has arrived and what the daemon costs."""
        await self.daemon.start()
        await self.daemon.api.wait_health(lambda health: health["connector"]["receiving"])
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self.subscriber.keep_running())
            await self.subscriber.until_subscribed(self.daemon.api)
            await self._talk.open_threads()
            async with self._talking():
                await self._trouble(self._duration.deaths_s, (*self._faults, *self._deaths))
                await self._trouble(self._duration.faults_s / 3, self._faults)
                early = rss_bytes(self.daemon.pid)
                await self._trouble(self._duration.faults_s * 2 / 3, self._faults)
            self._room.server.mend()
            await self._talk.arrived(ALL_THERE_S)
            growth = rss_bytes(self.daemon.pid) - early
            assert growth < GROWTH_BYTES, f"memory grew by {growth >> 20} MiB"
            await self._check_idleness()
            listening.cancel()
        await self._talk.check()
        assert (await self.daemon.api.health())["status"] == "ok"
        assert await self.daemon.terminate() == 0

    # Talking

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[None]:
        """Both sides talk in all lines meanwhile; what they have begun to say, they say."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for line in self._talk.lines:
                group.create_task(self._person(line, over))
                group.create_task(self._fleet(line, over))
            try:
                yield
            finally:
                over.set()

    async def _person(self, line: Line, over: asyncio.Event) -> None:
        random = chance(self.seed, f"person {line.name}")
        while not over.is_set():
            await asyncio.sleep(random.uniform(0.0, 0.5))
            # Now and then more at once than a timeline holds.
            for _ in range(random.choice((120, 30)) if random.random() < 0.02 else 1):
                await self._talk.person_says(line, f"{line.name} in {len(line.heard)}")

    async def _fleet(self, line: Line, over: asyncio.Event) -> None:
        random = chance(self.seed, f"fleet {line.name}")
        while not over.is_set():
            await asyncio.sleep(random.uniform(0.0, 0.5))
            await self._talk.fleet_says(line, f"{line.name} out {len(line.sent)}")

    # Trouble

    async def _trouble(self, seconds: float, kinds: Sequence[Callable[[], object]]) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while clock() < end:
            happened = self._random.choice(kinds)()
            if asyncio.iscoroutine(happened):
                await happened
            await asyncio.sleep(self._random.uniform(0.0, 1.0))

    @property
    def _faults(self) -> Sequence[Callable[[], object]]:
        return (self._fault, self._fault, self._fault, self._fault, self._outage)

    @property
    def _deaths(self) -> Sequence[Callable[[], object]]:
        return (self._kill_daemon, self._restart_daemon, self.subscriber.kill)

    def _fault(self) -> None:
        makes = (*FAULTS, lambda _random: faults.hang()) if self._duration.hangs else FAULTS
        action = self._random.choice(makes)(self._random)
        method, path = self._random.choice(PATHS)
        nth, times = self._random.randint(1, 3), self._random.randint(1, 4)
        if self._random.random() < 0.1:
            self._room.server.mend()  # those that nothing has met yet do not pile up
        self._room.server.fail(method, path, action, nth=nth, times=times)

    async def _outage(self) -> None:
        await self._room.server.stop()
        await asyncio.sleep(self._random.uniform(0.0, 2.0))
        await self._room.server.start()

    async def _kill_daemon(self) -> None:
        await self.daemon.kill()
        await self.daemon.start()

    async def _restart_daemon(self) -> None:
        assert await self.daemon.terminate() == 0
        await self.daemon.start()

    # Costs

    async def _check_idleness(self) -> None:
        before = cpu_s(self.daemon.pid)
        await asyncio.sleep(self._duration.idle_s)  # a span to be measured, not an event
        used = cpu_s(self.daemon.pid) - before
        assert used <= self._duration.idle_s * IDLE_SHARE + 0.01, f"{used:.2f} s of processor"


def _scripted(room: FakeMatrixRoom) -> Say:
    """A person at the server's own side, whom no fault meets."""

    async def say(text: str, thread_id: str | None) -> str:
        return room.room.say(room.human.user_id, text, thread=thread_id)

    return say


@pytest.mark.parametrize("duration", DURATIONS)
@pytest.mark.parametrize("profile", [SYNAPSE, CONDUIT], ids=lambda profile: profile.name)
async def test_all_that_is_said_arrives_once_and_in_order_through_a_faulty_homeserver(
    make_daemon: MakeDaemon, tmp_path: Path, profile: Profile, duration: Duration
) -> None:
    longest_s = duration.deaths_s + duration.faults_s + duration.idle_s + 2 * ALL_THERE_S
    faulthandler.dump_traceback_later(longest_s, exit=True)  # in the place of pytest's 300 s
    async with FakeHomeserver(profile) as server:
        room = server.furnish()
        run = Soak(room, make_daemon(room), tmp_path, duration)
        with shown_on_failure(run.seed, run.daemon, run.subscriber):
            await run.play()
