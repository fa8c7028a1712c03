"""The whole daemon on a scripted Discord, which keeps the rule of one identify in five seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.fakes import faults
from tests.fakes.discord.refusals import refuse, slow_down
from tests.fakes.discord.server import FakeDiscord, FakeDiscordChannel
from tests.harness.daemon import Daemon
from tests.harness.discord import daemon_in_channel, until_ok
from tests.harness.rooms import MakeDaemon


@pytest_asyncio.fixture
async def fleet() -> AsyncIterator[FakeDiscordChannel]:
    """A person and a bot in a closed channel."""
    async with FakeDiscord() as server:
        yield server.furnish()


@pytest_asyncio.fixture
async def daemon(make_daemon: MakeDaemon, fleet: FakeDiscordChannel) -> Daemon:
    """A running daemon in that channel."""
    made = daemon_in_channel(make_daemon, fleet)
    await made.start()
    await until_ok(made)
    return made


async def test_both_directions_and_threads(fleet: FakeDiscordChannel, daemon: Daemon) -> None:
    async with daemon.api.events(subscriber="mos", types="message") as stream:
        header = fleet.human.say("ship it?")
        event = await stream.next()
        assert (event["id"], event["sender"], event["sender_name"]) == (
            header,
            fleet.human.user_id,
            "Ann",
        )
        sent = await daemon.api.send("on it", thread_id=event["id"], wait_s=20)
        assert sent["state"] == "delivered"
        fleet.human.say("thanks", thread=header)
        answer = await stream.next()
        assert (answer["text"], answer["thread_id"]) == ("thanks", header)
    assert fleet.said_by_bot(fleet.server.world.channels[header])[-1] == "on it"
    refused = await daemon.api.send("astray", thread_id="123", wait_s=20)
    assert (refused["state"], "123" in refused["error"]) == ("failed", True)
    long = await daemon.api.send("```py\n" + "x = 1\n" * 1000 + "```", wait_s=20)
    assert len(long["remote_ids"]) == 4
    assert all(text.endswith("```") for text in fleet.said_by_bot()[-4:])


async def test_500_messages_missed_while_down_arrive_once_and_in_order(
    fleet: FakeDiscordChannel, daemon: Daemon
) -> None:
    async with daemon.api.events(subscriber="mos", types="message") as stream:
        fleet.human.say("before")
        await daemon.api.ack("mos", (await stream.next())["seq"])
    await daemon.kill()
    said = [f"missed {number}" for number in range(500)]
    for text in said:
        fleet.human.say(text)
    thread = fleet.human.open_thread(name="meanwhile").id
    fleet.human.say("in a thread", thread=thread)
    fleet.human.archive(thread)
    await daemon.start()
    async with daemon.api.events(subscriber="mos", types="message") as stream:
        assert [event["text"] for event in await stream.take(500)] == said
        event = await stream.next()
        assert (event["text"], event["thread_id"]) == ("in a thread", thread)
    await until_ok(daemon)
    assert [one.taken for one in fleet.server.gateway.identifies] == [True, True]


async def test_whatever_becomes_of_the_answers_each_message_is_there_once_and_in_order(
    fleet: FakeDiscordChannel, daemon: Daemon
) -> None:
    server = fleet.server
    refused = {2: (403, 50013), 5: (400, 50035)}
    mishaps = [
        *(faults.lose_answer(), faults.cut_answer(), faults.truncate(), faults.html(503)),
        *(faults.drop(), refuse(503), faults.reply({}), slow_down(0.2)),
    ]
    texts = [f"message {number}" for number in range(10)]
    for number, text in enumerate(texts):
        if number in refused:
            fault = server.fail("POST", "*/messages", refuse(*refused[number], "because"))
        else:
            fault = server.fail("POST", "*/messages", mishaps.pop(0))
        sent = await daemon.api.send(text, wait_s=20)
        assert fault.seen
        server.mend()
        wanted = "failed" if number in refused else "delivered"
        assert (text, sent["state"]) == (text, wanted)
        assert number not in refused or "because" in sent["error"]
    assert fleet.said_by_bot() == [one for n, one in enumerate(texts) if n not in refused]
    assert "Traceback" not in daemon.log_text
    assert fleet.bot.token not in daemon.log_text


async def test_a_zombie_is_left_by_resuming_and_costs_no_identify(
    make_daemon: MakeDaemon, fleet: FakeDiscordChannel
) -> None:
    gateway = fleet.server.gateway
    gateway.heartbeat_interval_ms = 400
    daemon = daemon_in_channel(make_daemon, fleet)
    await daemon.start()
    await until_ok(daemon)
    async with daemon.api.events(types="connector,message") as stream:
        gateway.mute_all()
        fleet.human.say("meanwhile")
        deaf = await stream.next()
        assert (deaf["type"], deaf["status"], deaf["receiving"]) == ("connector", "degraded", False)
        assert "silent" in deaf["detail"]
        while (event := await stream.next())["type"] != "message":
            pass
        assert event["text"] == "meanwhile"
    await until_ok(daemon)
    assert (len(gateway.identifies), gateway.resumes) == (1, [True])


@pytest.mark.parametrize("trouble", [401, 4004, 4013, 4014])
async def test_what_discord_refuses_for_good_is_tried_again_only_on_reload(
    make_daemon: MakeDaemon, fleet: FakeDiscordChannel, trouble: int
) -> None:
    server = fleet.server
    server.gateway.identify_every_s = 0
    if trouble == 401:
        server.refusing_tokens = True
    else:
        server.gateway.close_identify.append(trouble)
    daemon = daemon_in_channel(make_daemon, fleet)
    await daemon.start()
    health = await daemon.api.wait_health(lambda health: health["status"] == "down")
    assert str(trouble) in health["connector"]["detail"]
    waiting = await daemon.api.send("waits")
    asked = len(server.calls)
    await asyncio.sleep(1.0)
    assert len(server.calls) == asked
    assert len(server.gateway.identifies) == (0 if trouble == 401 else 1)
    assert daemon.running
    server.refusing_tokens = False
    (daemon.state_dir / "discord" / "identified-at").unlink(missing_ok=True)  # or it waits
    assert (await daemon.api.reload()).status == 200
    assert (await daemon.api.final(waiting["id"]))["state"] == "delivered"
    assert len(server.gateway.identifies) == (1 if trouble == 401 else 2)


async def test_an_outage_is_told_in_few_words_and_ends_by_itself(
    fleet: FakeDiscordChannel, daemon: Daemon
) -> None:
    before = len(daemon.log_text.splitlines())
    await fleet.server.stop()
    health = await daemon.api.wait_health(lambda health: not health["connector"]["receiving"])
    assert (health["status"], health["connector"]["reachable"]) == ("degraded", False)
    waiting = await daemon.api.send("waits")
    fleet.human.say("meanwhile")
    await asyncio.sleep(2.0)
    assert len(daemon.log_text.splitlines()) - before < 20
    await fleet.server.start()
    await until_ok(daemon)
    assert (await daemon.api.final(waiting["id"]))["state"] == "delivered"
    events: list[Any] = await daemon.api.pending(after=0, types="message")
    assert [event["text"] for event in events] == ["meanwhile"]
    assert len(fleet.server.gateway.identifies) == 1, "the session was resumed"


async def test_a_deleted_text_goes_from_the_journal(
    fleet: FakeDiscordChannel, daemon: Daemon
) -> None:
    async with daemon.api.events(subscriber="mos", types="message,redaction") as stream:
        said = fleet.human.say("Rosenrot")
        await stream.next()
        fleet.human.delete(said)
        event = await stream.next()
        assert (event["type"], event["target"], event["sender"]) == ("redaction", said, None)
    own = (await daemon.api.send("Schneeweiss", wait_s=20))["remote_id"]
    async with daemon.api.events(types="redaction", after=event["seq"]) as later:
        fleet.human.delete(own)
        assert (await later.next())["target"] == own
    await daemon.terminate()
    held = [path for path in daemon.state_dir.rglob("*") if path.is_file()]
    for word in (b"Rosenrot", b"Schneeweiss"):
        assert not any(word in path.read_bytes() for path in held)
