"""The Matrix connector on a real Synapse: what is said arrives, both ways."""

from __future__ import annotations

import asyncio

from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon, MakeRoom, Room
from tests.harness.synapse import Synapse


async def test_both_directions(room: Room, daemon_in_room: Daemon) -> None:
    async with daemon_in_room.api.events(subscriber="mos", types="message") as stream:
        event_id = await room.human.say("ship it")
        event = await stream.next()
    assert (event["id"], event["text"], event["sender"]) == (
        event_id,
        "ship it",
        room.human.user_id,
    )
    sent = await daemon_in_room.api.send("**done**", wait_s=20)
    assert sent["state"] == "delivered"
    raw = await room.human.wait_for(lambda event: event.get("event_id") == sent["remote_id"])
    assert raw["content"]["formatted_body"] == "<strong>done</strong>"


async def test_what_is_said_while_the_daemon_is_down_arrives_once_and_in_order(
    room: Room, daemon_in_room: Daemon
) -> None:
    async with daemon_in_room.api.events(subscriber="mos", types="message") as stream:
        await room.human.say("before")
        await daemon_in_room.api.ack("mos", (await stream.next())["seq"])
    await daemon_in_room.kill()

    async def talk(name: str) -> None:
        for number in range(100):
            await room.human.say(f"{name} {number}")

    await asyncio.gather(*map(talk, "abcde"))
    said = await room.human.texts()
    assert said.pop(0) == "before"
    assert len(said) == 500
    await daemon_in_room.restart()
    async with daemon_in_room.api.events(subscriber="mos", types="message") as stream:
        heard = [(await stream.next())["text"] for _ in said]
    assert heard == said
    assert (await daemon_in_room.api.health())["status"] == "ok"


async def test_an_invited_bot_joins_and_hears_what_is_said_from_then_on(
    synapse: Synapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    room = await make_room(synapse, joined=False)
    await room.human.say("before the bot came")
    daemon = make_daemon(room)
    await daemon.start()
    await daemon.api.wait_health(lambda health: health["connector"]["receiving"])
    async with daemon.api.events(subscriber="mos", from_="start", types="message") as stream:
        await room.human.say("after")
        assert (await stream.next())["text"] == "after"
