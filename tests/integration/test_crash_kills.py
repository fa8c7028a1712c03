"""Processes killed with SIGKILL at random while both sides talk, on a real Synapse (§5)."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon, MakeRoom, Room, StartSynapse
from tests.harness.soak import Conversation, Line, Progress, Way, chance, seed, surely
from tests.harness.soak_children import Subscriber
from tests.harness.soak_evidence import shown_on_failure
from tests.harness.synapse import Synapse

pytestmark = pytest.mark.synapse

ALL_THERE_S = 90.0
"""The daemon's pauses grow to 30 s, and nothing tells it that Synapse is back."""

LIFE_S = 1.0
HOP_S = 0.06
"""About as long as what was said takes to its other side."""


@dataclass(frozen=True)
class Size:
    """How much happens: `texts` each way in each of the three lines."""

    kills: int
    texts: int
    synapse_kills: int


SIZES = [
    pytest.param(Size(kills=4, texts=16, synapse_kills=1), id="reduced"),
    pytest.param(Size(kills=20, texts=100, synapse_kills=3), id="full", marks=pytest.mark.long),
]


class CrashRun:
    """One conversation, and those who kill while it goes on.

    Args:
        room: where.
        daemon: the fleet's, in that room.
        directory: for the subscriber's files.
        size: how much happens.
        kill_synapse: how often the homeserver is killed, too.
    """

    def __init__(
        self, room: Room, daemon: Daemon, directory: Path, size: Size, *, kill_synapse: int = 0
    ) -> None:
        self.seed = seed()
        self.daemon = daemon
        self.subscriber = Subscriber(daemon.socket, directory / "subscriber")
        self._room = room
        self._size = size
        self._synapse_kills = kill_synapse
        self._progress = Progress()
        say = surely(room.human)
        self._talk = Conversation(room, daemon, self.subscriber, say, by_program=True)

    async def play(self) -> None:
        """Talk and kill until both are done, then look at what has arrived."""
        await self.daemon.start()
        await self.daemon.api.wait_health(lambda health: health["connector"]["receiving"])
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self.subscriber.keep_running())
            await self.subscriber.until_subscribed(self.daemon.api)
            await self._talk.open_threads()
            async with asyncio.TaskGroup() as acts:
                for line in self._talk.lines:
                    acts.create_task(self._person(line))
                    acts.create_task(self._fleet(line))
                acts.create_task(self._kill_daemons())
                acts.create_task(self._kill_subscribers())
                acts.create_task(self._kill_synapse(self._room.synapse, self._synapse_kills))
            await self._talk.arrived(ALL_THERE_S)
            await self._say_goodbye()
            listening.cancel()
        await self._talk.check()
        await self._check_states()

    async def _person(self, line: Line) -> None:
        random = chance(self.seed, f"person {line.name}")
        for number in range(self._size.texts):
            await self._turn(number, random)
            await self._talk.person_says(line, f"{line.name} in {number}")

    async def _fleet(self, line: Line) -> None:
        random = chance(self.seed, f"fleet {line.name}")
        for number in range(self._size.texts):
            await self._turn(number, random)
            await self._talk.fleet_says(line, f"{line.name} out {number}")

    async def _turn(self, number: int, random: Random) -> None:
        """Every life of the daemon gets its share of what is said, spread over it."""
        await self._progress.reached(number / self._size.texts - 1 / self._size.kills)
        share_s = LIFE_S * self._size.kills / self._size.texts
        await asyncio.sleep(random.uniform(0.0, 2 * share_s))

    async def _kill_daemons(self) -> None:
        random = chance(self.seed, "daemon")
        for kills in range(self._size.kills):
            await self._strike_time(random, random.choice(("heard", "sent")))
            await self.daemon.kill()
            assert self.daemon.returncode == -signal.SIGKILL, "it had ended by itself"
            if random.random() < 0.2:
                self.daemon.spawn()  # the next kill may strike while it starts
            else:
                await self.daemon.start()
            # Not before: what is said to a dead daemon is in one batch when it comes back.
            await self._progress.move((kills + 1) / self._size.kills)

    async def _kill_subscribers(self) -> None:
        random = chance(self.seed, "subscriber")
        while not self._progress.over:
            await self._strike_time(random, "heard")
            await self.subscriber.kill()

    async def _strike_time(self, random: Random, way: Way) -> None:
        """Any instant at all, but more often than not one when something is under way."""
        await asyncio.sleep(random.uniform(0.0, LIFE_S))
        if random.random() < 0.8:
            await self._talk.next_word(way, LIFE_S)
            await asyncio.sleep(random.uniform(0.0, HOP_S))

    async def _kill_synapse(self, synapse: Synapse, times: int) -> None:
        """Kill it at random in the middle, once in each stretch of the run."""
        random = chance(self.seed, "synapse")
        for kills in range(times):
            await self._progress.reached((kills + random.uniform(0.3, 1.0)) / (times + 0.5))
            await asyncio.sleep(random.uniform(0.0, 0.5))
            await synapse.kill()
            await synapse.start()

    async def _say_goodbye(self) -> None:
        """After an orderly restart, a last word each way: anything that comes twice, came then."""
        assert await self.daemon.terminate() == 0
        await self.daemon.start()
        for line in self._talk.lines:
            await self._talk.person_says(line, f"{line.name} in: goodbye")
            await self._talk.fleet_says(line, f"{line.name} out: goodbye")
        await self._talk.arrived(ALL_THERE_S)

    async def _check_states(self) -> None:
        """What the daemon says of it is true as well."""
        said = await self._room.human.messages(sender=self._room.bot.user_id)
        place = {event["event_id"]: event["content"]["body"] for event in said}
        count = len(said)
        told = await self.daemon.api.pending(after=0, types="delivery")
        assert [event["state"] for event in told] == ["delivered"] * count
        assert {event["remote_id"] for event in told} == place.keys()
        shown = await self.daemon.api.history(limit=100, direction="out")
        assert {item["state"] for item in shown} == {"delivered"}
        assert all(place[item["remote_id"]] == item["text"] for item in shown)
        health = await self.daemon.api.health()
        assert health["status"] == "ok"
        assert (health["outbox"]["queued"], health["outbox"]["failed"]) == (0, 0)


@pytest.mark.parametrize("size", SIZES)
async def test_all_that_is_said_arrives_once_and_in_order_over_kills_of_daemon_and_subscriber(
    room: Room, make_daemon: MakeDaemon, tmp_path: Path, size: Size
) -> None:
    run = CrashRun(room, make_daemon(room), tmp_path, size)
    with shown_on_failure(run.seed, run.daemon, run.subscriber):
        await run.play()


@pytest.mark.parametrize("size", SIZES)
async def test_all_that_is_said_arrives_once_and_in_order_over_kills_of_synapse_as_well(
    own_synapse: StartSynapse,
    make_room: MakeRoom,
    make_daemon: MakeDaemon,
    tmp_path: Path,
    size: Size,
) -> None:
    synapse = await own_synapse()
    room = await make_room(synapse)
    run = CrashRun(room, make_daemon(room), tmp_path, size, kill_synapse=size.synapse_kills)
    with shown_on_failure(run.seed, run.daemon, run.subscriber):
        await run.play()
