"""The daemon dies at each step of both flows; what people, clients and subscribers see then."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import aiohttp
import pytest

from tests.fakes import faults
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.daemon import Daemon, Death
from tests.harness.lives import met, next_life, on_disk, post, receiving
from tests.harness.rooms import Furnished, MakeDaemon, Room
from tests.harness.waiting import eventually
from tests.integration.kill_points import IN, OUT, InPoint, OutPoint
from tools.guarantees_table import PAGE, with_table

KEY = "the key of a client"
TEXT = "hello"
LONG = "x" * 40_000 + "\n\n" + "y" * 20_000
SUBSCRIBER = "mos"

SCRIPTED = [point for point in OUT if not isinstance(point.place, Death)]
SCRIPTED += [point for point in OUT if point.queued_behind or point.refused]


def name_of(point: object) -> str:
    assert isinstance(point, OutPoint | InPoint)
    return point.moment.replace(" ", "-").replace(",", "")


def test_the_table_in_the_documents_is_the_one_these_tests_have_shown() -> None:
    page = PAGE.read_text()
    assert with_table(page) == page, "run `python -m tools.guarantees_table`"


# -- outbound -------------------------------------------------------------------------------------


async def die(daemon: Daemon, point: OutPoint, text: str, room: Furnished) -> str | None:
    """Send and die at `point`; what the client was answered."""
    if isinstance(point.place, Death):
        answered = await post(daemon, text, KEY)
        assert await daemon.ended() == -signal.SIGKILL
        assert (
            f"dying {point.place.when} {point.place.target} call {point.place.nth}"
            in daemon.log_text
        )
        return answered
    assert isinstance(room, FakeMatrixRoom)
    hold = room.server.hold("PUT", "*/send/*", answered=point.place == "held after")
    answered = await post(daemon, text, KEY)
    await hold.reached()
    await daemon.kill()
    room.server.mend()
    return answered


async def copies(room: Furnished, text: str) -> int:
    """How many messages of the bot people have seen whose text is (a part of) `text`."""
    return sum(bool(seen) and seen in text for seen in await room.said_by_bot())


async def dies_and_goes_on(point: OutPoint, room: Furnished, daemon: Daemon) -> None:
    """Die at `point`, start again, repeat the request: the row of the table, observed."""
    text = TEXT if point.parts == 1 else LONG
    await met(daemon)
    if isinstance(point.place, Death):
        daemon.death = point.place
    await daemon.start()
    await receiving(daemon)
    answered = await die(daemon, point, text, room)
    assert (answered is not None) == point.answered
    assert await copies(room, text) == point.in_room
    await next_life(daemon)
    kept = [
        item["id"] for item in await daemon.api.history(direction="out") if item["text"] == text
    ]
    assert len(kept) == point.kept
    end = "failed" if point.refused else "delivered"
    if point.kept:
        assert (await daemon.api.final(kept[0]))["state"] == end
        assert answered in (None, kept[0])
    again = await daemon.api.send(text, key=KEY, wait_s=20)
    assert again["state"] == end
    assert not kept or again["id"] == kept[0]
    assert await copies(room, text) == (0 if point.refused else point.parts)
    told = await daemon.api.pending(after=0, types="delivery")
    assert [event["state"] for event in told if event["id"] == again["id"]] == [end]


@pytest.mark.parametrize("point", OUT, ids=name_of)
async def test_outbound_on_the_scripted_server(
    point: OutPoint, fake: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(fake)
    if point.queued_behind:
        await dies_with_one_ahead(point, fake, daemon)
        return
    if point.refused:
        refusal = faults.refuse(413, "M_TOO_LARGE")
        fake.server.fail("PUT", "*/send/*", refusal, times=None)
    await dies_and_goes_on(point, fake, daemon)


@pytest.mark.synapse
@pytest.mark.parametrize("point", [point for point in OUT if point not in SCRIPTED], ids=name_of)
async def test_outbound_on_synapse(point: OutPoint, room: Room, make_daemon: MakeDaemon) -> None:
    await dies_and_goes_on(point, room, make_daemon(room))


async def dies_with_one_ahead(point: OutPoint, fake: FakeMatrixRoom, daemon: Daemon) -> None:
    """The same for a message that another of its thread is sent before."""
    assert isinstance(point.place, Death)
    await met(daemon)
    daemon.death = point.place
    await daemon.start()
    await receiving(daemon)
    hold = fake.server.hold("PUT", "*/send/*")
    ahead = (await daemon.api.send("ahead"))["id"]
    await hold.reached()
    answered = await post(daemon, TEXT, KEY)
    assert answered is not None
    hold.release()
    assert await daemon.ended() == -signal.SIGKILL
    assert await fake.said_by_bot() == ["ahead"]
    fake.server.mend()
    await next_life(daemon)
    for message_id in (ahead, answered):
        assert (await daemon.api.final(message_id))["state"] == "delivered"
    assert (await daemon.api.send(TEXT, key=KEY, wait_s=20))["id"] == answered
    assert await fake.said_by_bot() == ["ahead", TEXT]


# -- inbound --------------------------------------------------------------------------------------


async def read_and_acknowledge(daemon: Daemon, count: int) -> list[dict[str, Any]]:
    """What a subscriber got before the daemon died, acknowledging all of it at the end."""
    got: list[dict[str, Any]] = []
    try:
        async with daemon.api.events(subscriber=SUBSCRIBER, types="message") as stream:
            while len(got) < count and (event := await stream.next_or_end()) is not None:
                got.append(event)
            if len(got) == count:
                await daemon.api.ack(SUBSCRIBER, got[-1]["seq"])
    except (aiohttp.ClientError, ConnectionError):
        pass
    return got


@pytest.mark.parametrize("point", IN, ids=name_of)
async def test_inbound_on_the_scripted_server(
    point: InPoint, fake: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    await hears_all_of_it(point, fake, make_daemon(fake))


@pytest.mark.long
@pytest.mark.synapse
@pytest.mark.parametrize("point", IN, ids=name_of)
async def test_inbound_on_synapse(point: InPoint, room: Room, make_daemon: MakeDaemon) -> None:
    await hears_all_of_it(point, room, make_daemon(room))


@pytest.mark.parametrize("point", IN, ids=name_of)
async def test_inbound_on_a_server_of_the_conduit_family(
    point: InPoint, conduit: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    await hears_all_of_it(point, conduit, make_daemon(conduit))


async def hears_all_of_it(point: InPoint, room: Furnished, daemon: Daemon) -> None:
    """Die at `point`, start again, subscribe: the row of the table, observed."""
    await daemon.start()
    await receiving(daemon)
    await daemon.api.pending(subscriber=SUBSCRIBER)
    await daemon.terminate()
    said = [f"message {number}" for number in range(point.said)]
    for text in said:
        await room.human.say(text)
    got = await live_until(daemon, point)
    journalled = await on_disk(daemon)
    expected = {True: [point.said], False: [0], None: list(range(1, point.said))}
    assert journalled in expected[point.journalled]
    assert bool(got) == point.written
    await next_life(daemon)
    after = await pending_after_all(daemon, [] if point.acknowledged else said)
    assert [event["text"] for event in after] == ([] if point.acknowledged else said)
    assert got == after[: len(got)] or point.acknowledged
    assert [event["text"] for event in got] == said[: len(got)]
    everything = await daemon.api.pending(after=0, types="message")
    assert [event["text"] for event in everything] == said


async def live_until(daemon: Daemon, point: InPoint) -> list[dict[str, Any]]:
    """The life that ends at `point`; what the subscriber got of it."""
    daemon.death = point.place
    if point.journalled is not True:
        daemon.spawn()  # it dies while it starts
        assert await daemon.ended() == -signal.SIGKILL
        return []
    daemon.spawn()
    reading = asyncio.ensure_future(subscribed(daemon, point))  # noqa: TID251 - dies in the middle
    try:
        assert await daemon.ended() == -signal.SIGKILL
        return await reading
    finally:
        reading.cancel()


async def subscribed(daemon: Daemon, point: InPoint) -> list[dict[str, Any]]:
    """Read once everything is on disk, so that one line is all that is written."""

    async def all_there() -> bool:
        if not daemon.running:
            return True
        try:
            health = await daemon.api.health()
        except (aiohttp.ClientError, ConnectionError):
            return False
        return bool(health["connector"]["receiving"])

    await eventually("the daemon's answer", all_there)
    if "Inbox" in point.place.target:
        return []
    return await read_and_acknowledge(daemon, point.said)


async def pending_after_all(daemon: Daemon, said: list[str]) -> list[dict[str, Any]]:
    """What the subscriber is given once the journal holds everything."""

    async def all_there() -> bool:
        return len(await daemon.api.pending(after=0, types="message")) >= max(len(said), 1)

    await eventually("everything in the journal", all_there)
    return await daemon.api.pending(subscriber=SUBSCRIBER, types="message")
