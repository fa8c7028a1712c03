"""The daemon killed with SIGKILL at random while both sides talk, on a scripted Discord (§5)."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from random import Random

import pytest

from tests.fakes import faults
from tests.fakes.discord.server import FakeDiscord, FakeDiscordChannel
from tests.harness.daemon import Daemon
from tests.harness.discord import daemon_in_channel, until_ok
from tests.harness.rooms import MakeDaemon
from tests.harness.soak import chance, seed
from tests.harness.waiting import eventually


@dataclass(frozen=True)
class Size:
    """How much happens: `texts` each way, in the channel and in a thread."""

    kills: int
    texts: int


SIZES = [
    pytest.param(Size(kills=2, texts=20), id="reduced"),
    pytest.param(Size(kills=12, texts=100), id="full", marks=pytest.mark.long),
]


class CrashRun:
    """One conversation, and who kills while it goes on."""

    def __init__(self, fleet: FakeDiscordChannel, daemon: Daemon, size: Size) -> None:
        self.seed = seed()
        self.fleet = fleet
        self.daemon = daemon
        self.size = size
        self.thread = fleet.human.open_thread(name="aside").id
        self._lines = (None, self.thread)
        self._sent: dict[str | None, list[str]] = {line: [] for line in self._lines}
        self._said: dict[str | None, list[str]] = {line: [] for line in self._lines}
        self._done = 0

    async def play(self) -> None:
        async with asyncio.TaskGroup() as acts:
            for line in self._lines:
                acts.create_task(self._person(line))
                acts.create_task(self._fleet(line))
            acts.create_task(self._kill())
        await self._arrived()

    async def _person(self, line: str | None) -> None:
        random = chance(self.seed, f"person {line}")
        for number in range(self.size.texts):
            await self._turn(number, random)
            text = f"{line} in {number}"
            self.fleet.human.say(text, thread=line)
            self._said[line].append(text)

    async def _fleet(self, line: str | None) -> None:
        random = chance(self.seed, f"fleet {line}")
        for number in range(self.size.texts):
            await self._turn(number, random)
            # The same words again and again: only ids can tell these messages apart.
            text = f"{line} out {number // 2}"
            await self.daemon.api.send_surely(text, f"{line}-{number}", thread_id=line)
            self._sent[line].append(text)

    async def _turn(self, number: int, random: Random) -> None:
        """Every life of the daemon gets its share of what is said."""

        async def probe() -> bool:
            return number * (self.size.kills + 1) <= (self._done + 1) * self.size.texts

        await eventually("another life", probe, timeout_s=120, pause_s=0.02)
        await asyncio.sleep(random.uniform(0.0, 0.1))

    async def _kill(self) -> None:
        random = chance(self.seed, "daemon")
        for _ in range(self.size.kills):
            # Lost answers make ambiguous attempts of what the kill finds under way.
            self.fleet.server.fail("POST", "*/messages", faults.lose_answer(), nth=4, times=2)
            await until_ok(self.daemon)
            await asyncio.sleep(random.uniform(0.0, 0.8))
            await self.daemon.kill()
            assert self.daemon.returncode == -signal.SIGKILL, "it had ended by itself"
            await self.daemon.start()
            self._done += 1

    async def _arrived(self) -> None:
        world = self.fleet.server.world
        places = {None: self.fleet.channel, self.thread: world.channels[self.thread]}

        async def probe() -> bool:
            sent = all(
                len(self.fleet.said_by_bot(place)) >= len(self._sent[line])
                for line, place in places.items()
            )
            return sent and len(await self._heard()) >= sum(map(len, self._said.values()))

        await eventually("all there", probe, timeout_s=60)
        await until_ok(self.daemon)
        for line, place in places.items():
            assert self.fleet.said_by_bot(place) == self._sent[line], line
        heard = await self._heard()
        for line in self._lines:
            assert [text for place_, text in heard if place_ == line] == self._said[line], line
        told = await self.daemon.api.pending(after=0, types="delivery")
        assert {event["state"] for event in told} == {"delivered"}

    async def _heard(self) -> list[tuple[str | None, str]]:
        events = await self.daemon.api.pending(after=0, types="message")
        return [(event["thread_id"], event["text"]) for event in events]


@pytest.mark.parametrize("size", SIZES)
async def test_all_that_is_said_arrives_once_and_in_order_over_kills_of_the_daemon(
    make_daemon: MakeDaemon, size: Size
) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        daemon = daemon_in_channel(make_daemon, fleet)
        run = CrashRun(fleet, daemon, size)
        await daemon.start()
        await until_ok(daemon)
        try:
            await run.play()
        except BaseException:
            print("seed", run.seed, daemon.log_text[-4000:])
            raise
        identifies = server.gateway.identifies
        assert [one.taken for one in identifies] == [True] * (size.kills + 1)
