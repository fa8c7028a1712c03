"""From one room to another and back, by reloads of the real daemon: nothing lost, nothing mixed."""

from __future__ import annotations

from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon


async def switch(daemon: Daemon, room: FakeMatrixRoom | None) -> None:
    """Put another room, or the memory connector, in the roster and reload."""
    if room is None:
        daemon.reconfigure("memory")
    else:
        daemon.reconfigure("matrix", **room.settings)
    assert (await daemon.api.reload()).status == 200
    await daemon.api.wait_health(lambda health: health["connector"]["receiving"])


def second_room(fake: FakeMatrixRoom) -> FakeMatrixRoom:
    """Another room of the same two people, so that one token opens both."""
    human = fake.human.in_room("")
    room = fake.server.add_room(human, fake.bot)
    return FakeMatrixRoom(fake.server, room, human, fake.bot)


async def started(daemon: Daemon) -> Daemon:
    await daemon.start()
    await daemon.api.wait_health(lambda health: health["connector"]["receiving"])
    return daemon


async def test_cursors_and_history_go_through_a_switch_and_back(
    fake: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    other = second_room(fake)
    daemon = await started(make_daemon(fake))
    await daemon.api.pending(subscriber="mos")
    await fake.human.say("in the first")
    async with daemon.api.events(subscriber="mos", types="message") as stream:
        first = await stream.next()
        await daemon.api.ack("mos", first["seq"])
        await switch(daemon, other)
        await other.human.say("in the second")
        await fake.human.say("in the first, unheard for now")
        assert (await stream.next())["text"] == "in the second"
        await switch(daemon, fake)
        assert (await stream.next())["text"] == "in the first, unheard for now"
    await daemon.restart()
    again = await daemon.api.pending(subscriber="mos", types="message")
    assert [event["text"] for event in again] == ["in the second", "in the first, unheard for now"]
    history = [item["text"] for item in await daemon.api.history(direction="in")]
    assert history == ["in the first, unheard for now", "in the second", "in the first"]


async def test_what_belongs_to_a_room_waits_for_it_and_the_rest_goes_out(
    fake: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    other = second_room(fake)
    daemon = await started(make_daemon(fake))
    root = await fake.human.say("a thread")
    hold = fake.server.hold("PUT", "*/send/*")
    attempted = (await daemon.api.send("attempted"))["id"]
    await hold.reached()
    behind = (await daemon.api.send("behind"))["id"]
    threaded = (await daemon.api.send("threaded", thread_id=root))["id"]
    await daemon.kill()
    fake.server.mend()
    daemon.reconfigure("matrix", **other.settings)
    await started(daemon)
    assert (await daemon.api.final(behind))["state"] == "delivered"
    assert await other.said_by_bot() == ["behind"]
    health = await daemon.api.health()
    assert (health["outbox"]["waiting"], health["outbox"]["queued"]) == (2, 0)
    await switch(daemon, fake)
    for message_id in (attempted, threaded):
        assert (await daemon.api.final(message_id))["state"] == "delivered"
    assert sorted(await fake.said_by_bot()) == ["attempted", "threaded"]
    assert (await daemon.api.health())["outbox"]["waiting"] == 0
    assert await other.said_by_bot() == ["behind"]


async def test_a_long_message_is_cut_anew_for_the_chat_it_goes_to(
    fake: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    daemon = await started(make_daemon(fake))
    await fake.server.stop()
    await daemon.api.wait_health(lambda health: not health["connector"]["receiving"])
    text = "x" * 40_000 + "\n\n" + "y" * 30_000
    message_id = (await daemon.api.send(text))["id"]
    await switch(daemon, None)
    done = await daemon.api.final(message_id)
    assert (done["state"], len(done["remote_ids"]), done["text"]) == ("delivered", 1, text)
    await fake.server.start()
    await switch(daemon, fake)
    assert await fake.said_by_bot() == []


async def test_what_waits_for_another_connector_expires_all_the_same(
    fake: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    daemon = await started(make_daemon(fake))
    root = await fake.human.say("a thread")
    await fake.server.stop()
    await daemon.api.wait_health(lambda health: not health["connector"]["receiving"])
    message_id = (await daemon.api.send("threaded", thread_id=root, expires_s=3))["id"]
    await switch(daemon, None)
    assert (await daemon.api.health())["outbox"]["waiting"] == 1
    done = await daemon.api.final(message_id)
    assert (done["state"], done["error"]) == ("failed", "expired")
    assert (await daemon.api.health())["outbox"]["waiting"] == 0


async def test_a_switch_to_another_kind_and_back_delivers_what_was_said_meanwhile(
    fake: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    daemon = await started(make_daemon(fake))
    await switch(daemon, None)
    missed = [str(number) for number in range(130)]
    for text in missed:
        await fake.human.say(text)
    await switch(daemon, fake)
    assert await pending_texts(daemon, len(missed)) == missed


async def pending_texts(daemon: Daemon, count: int) -> list[str]:
    async with daemon.api.events(after=0, types="message") as stream:
        return [event["text"] for event in await stream.take(count)]
