"""A Synapse that stops, dies, hangs or asks to slow down: nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon, MakeRoom, Room, StartSynapse
from tests.harness.synapse import Synapse

OUTAGE_S = 7.0


async def settled_in(
    own_synapse: StartSynapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> tuple[Synapse, Room, Daemon]:
    synapse = await own_synapse()
    room = await make_room(synapse)
    daemon = make_daemon(room, args=["--log-format", "json"])
    await daemon.start()
    await daemon.api.wait_health(lambda health: health["status"] == "ok")
    return synapse, room, daemon


async def test_hung_stopped_and_killed(
    own_synapse: StartSynapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    synapse, room, daemon = await settled_in(own_synapse, make_room, make_daemon)
    async with daemon.api.events(subscriber="mos", types="message,gap") as stream:
        synapse.suspend()
        heard, sent = [], [await daemon.api.send(f"during a short hang {n}") for n in range(2)]
        assert (await daemon.api.health())["connector"]["receiving"], "it is not overdue yet"
        synapse.resume()
        for end in (synapse.stop, synapse.kill):
            sent += [await daemon.api.send(f"before {end.__name__} {n}") for n in range(5)]
            await room.human.say(f"before {end.__name__}")
            records = len(daemon.log_text.splitlines())
            await end()
            health = await daemon.api.wait_health(
                lambda health: not health["connector"]["receiving"], timeout_s=5
            )
            assert health["status"] == "degraded"
            assert not health["connector"]["reachable"]
            assert "cannot reach the homeserver" in health["connector"]["detail"]
            sent += [await daemon.api.send(f"during {end.__name__} {n}") for n in range(5)]
            if end == synapse.stop:
                await asyncio.sleep(OUTAGE_S)  # an outage is what is measured
                told = daemon.log_text.splitlines()[records:]
                assert len(told) < 20, told  # fewer than 60 in 20 s
            await synapse.start()
            await daemon.api.wait_health(lambda health: health["status"] == "ok", timeout_s=40)
            await room.human.say(f"after {end.__name__}")
            heard += [f"before {end.__name__}", f"after {end.__name__}"]
        for message in sent:
            assert (await daemon.api.final(message["id"]))["state"] == "delivered"
        assert [event["text"] for event in await stream.take(4)] == heard
    assert await room.said_by_bot() == [message["text"] for message in sent]
    assert daemon.running
    levels = {json.loads(line)["level"] for line in daemon.log_text.splitlines()}
    assert levels <= {"debug", "info", "warning"}


async def test_killed_while_messages_flow_both_ways(
    own_synapse: StartSynapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    synapse, room, daemon = await settled_in(own_synapse, make_room, make_daemon)
    texts = [f"message {number}" for number in range(60)]
    said: list[str] = []

    async def send() -> None:
        for text in texts:
            await daemon.api.send(text)

    async def kill() -> None:
        await room.human.hears(texts[10])
        await synapse.kill()
        await synapse.start()

    async def listen() -> None:
        await room.human.hears(texts[-1], timeout_s=60)

    async with daemon.api.events(subscriber="mos", types="message") as stream:
        await asyncio.gather(send(), kill())
        await listen()
        for number in range(3):
            await room.human.say(f"answer {number}")
        said += [event["text"] for event in await stream.take(3)]
    assert said == ["answer 0", "answer 1", "answer 2"]
    assert await room.said_by_bot() == texts


async def test_a_request_to_slow_down_is_obeyed(
    own_synapse: StartSynapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    synapse = await own_synapse(rc_message={"per_second": 4, "burst_count": 3})
    room = await make_room(synapse)
    daemon = make_daemon(room)
    await daemon.start()
    await daemon.api.wait_health(lambda health: health["status"] == "ok")
    began = time.monotonic()
    sent = [await daemon.api.send(f"message {number}") for number in range(12)]
    states = [(await daemon.api.final(message["id"]))["state"] for message in sent]
    assert states == ["delivered"] * 12
    assert time.monotonic() - began > (12 - 3) / 4 - 0.5
    assert await room.said_by_bot() == [message["text"] for message in sent]
    attempts = [(await daemon.api.message(message["id"]))["attempts"] for message in sent]
    assert sum(attempts) > 12
    assert max(attempts) <= 3, "a message is not tried again before its time"
    assert (await daemon.api.health())["status"] == "ok"


@pytest.mark.long
async def test_a_hung_server_is_noticed_in_time_and_nothing_is_lost(
    own_synapse: StartSynapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    """The real constants: a poll of 30 s, and 15 s after that."""
    synapse, room, daemon = await settled_in(own_synapse, make_room, make_daemon)
    async with daemon.api.events(subscriber="mos", types="message") as stream:
        synapse.suspend()
        sent = await daemon.api.send("into the void")
        health = await daemon.api.wait_health(
            lambda health: not health["connector"]["receiving"], timeout_s=50
        )
        assert health["status"] == "degraded"
        synapse.resume()
        await daemon.api.wait_health(lambda health: health["status"] == "ok", timeout_s=60)
        assert (await daemon.api.final(sent["id"], timeout_s=60))["state"] == "delivered"
        await room.human.say("awake")
        assert (await stream.next())["text"] == "awake"
    assert await room.said_by_bot() == ["into the void"]
