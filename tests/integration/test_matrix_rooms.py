"""Who may speak, and rooms that cannot be used (for now), on a real Synapse."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon, MakeRoom, Room, StartSynapse
from tests.harness.synapse import Synapse

RULES, VISIBILITY = "m.room.join_rules", "m.room.history_visibility"


def cpu_ms(pid: int) -> float:
    """What a process has used so far, from the scheduler's own accounting."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


async def down(daemon: Daemon, detail: str) -> None:
    await daemon.api.wait_health(
        lambda health: (
            health["status"] == "down" and re.search(detail, health["connector"]["detail"] or "")
        )
    )


async def ok(daemon: Daemon) -> None:
    await daemon.api.wait_health(lambda health: health["status"] == "ok")


@pytest.mark.parametrize("how", ["kick", "ban"])
async def test_thrown_out_it_waits_and_invited_again_it_catches_up(
    room: Room, daemon_in_room: Daemon, how: str
) -> None:
    human, api = room.human, daemon_in_room.api
    async with api.events(subscriber="mos", types="message,gap") as stream:
        await human.say("before")
        await stream.next()
        throw = human.ban if how == "ban" else human.kick
        await throw(room.bot.user_id, "out!")
        verb = "banned" if how == "ban" else "kicked"
        await down(daemon_in_room, rf"{verb} by {human.user_id} \(out!\).*invite it again")
        assert not (await api.health())["connector"]["receiving"]
        waiting = await api.send("waits")
        said = [f"meanwhile {number}" for number in range(105)]
        for text in said:
            await human.say(text)
        before_ms = cpu_ms(daemon_in_room.pid)
        await asyncio.sleep(1.0)  # a time in which nothing happens is what is measured
        assert cpu_ms(daemon_in_room.pid) - before_ms < 100
        assert (await api.message(waiting["id"]))["state"] == "queued"
        if how == "ban":
            await human.unban(room.bot.user_id)
        await human.invite(room.bot.user_id)
        await ok(daemon_in_room)
        assert (await api.final(waiting["id"]))["state"] == "delivered"
        await human.say("after")
        assert [event["text"] for event in await stream.take(106)] == [*said, "after"]


async def test_thrown_out_and_invited_again_while_the_daemon_is_down(
    room: Room, daemon_in_room: Daemon
) -> None:
    human, api = room.human, daemon_in_room.api
    async with api.events(subscriber="mos", types="message,gap") as stream:
        await human.say("heard")
        await stream.next()
    await daemon_in_room.terminate()
    await human.say("missed")
    await human.kick(room.bot.user_id)
    await human.say("while it was out")
    await daemon_in_room.start()
    await down(daemon_in_room, "is not in it|kicked")
    await daemon_in_room.terminate()
    await human.invite(room.bot.user_id)
    await daemon_in_room.start()
    await ok(daemon_in_room)
    await human.say("back")
    async with api.events(subscriber="mos", types="message,gap") as stream:
        texts = [event["text"] for event in await stream.take(4)]
    assert texts == ["heard", "missed", "while it was out", "back"]


async def test_a_kick_that_nobody_has_told_of_yet_fails_no_message(
    room: Room, daemon_in_room: Daemon
) -> None:
    """M_FORBIDDEN is the server's word, but not while the bot is out of the room."""
    await room.human.kick(room.bot.user_id)
    sent = await daemon_in_room.api.send("at once", wait_s=1)
    assert sent["state"] in ("queued", "sending")
    await down(daemon_in_room, "kicked")
    await room.human.invite(room.bot.user_id)
    assert (await daemon_in_room.api.final(sent["id"]))["state"] == "delivered"


async def test_forbidden_while_joined_fails_the_message_and_not_those_behind_it(
    room: Room, daemon_in_room: Daemon
) -> None:
    levels = {"events_default": 50}
    await room.human.set_state("m.room.power_levels", levels)
    sent = await daemon_in_room.api.send("muted", wait_s=20)
    assert sent["state"] == "failed"
    assert "M_FORBIDDEN" in sent["error"]
    await room.human.set_state("m.room.power_levels", levels | {"events_default": 0})
    assert (await daemon_in_room.api.send("heard", wait_s=20))["state"] == "delivered"
    assert (await daemon_in_room.api.health())["status"] == "ok"


async def test_a_replaced_room_is_named(room: Room, daemon_in_room: Daemon) -> None:
    replacement = await room.human.upgrade_room()
    await down(daemon_in_room, rf"replaced by {re.escape(replacement)}.*connector.matrix.room_id")
    waiting = await daemon_in_room.api.send("waits")
    assert waiting["state"] == "queued"


async def test_no_plain_text_goes_into_an_encrypted_room(
    synapse: Synapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    room = await make_room(synapse, encrypted=True, joined=False)
    daemon = make_daemon(room)
    await daemon.start()
    await down(daemon, "encrypted")
    sent = await daemon.api.send("secret", wait_s=1)
    assert sent["state"] == "queued"
    await daemon.restart()
    await down(daemon, "encrypted")
    assert await room.said_by_bot() == []


async def test_encryption_that_is_turned_on_stops_it(room: Room, daemon_in_room: Daemon) -> None:
    await daemon_in_room.api.send("still in the open", wait_s=20)
    await room.human.set_state("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    await down(daemon_in_room, "encrypted")
    for text in ("secret", "secret too"):
        await daemon_in_room.api.send(text)
    await daemon_in_room.kill()
    await daemon_in_room.start()
    await down(daemon_in_room, "encrypted")
    assert await room.said_by_bot() == ["still in the open"]


@pytest.mark.parametrize(
    ("kind", "opened", "closed"),
    [
        (RULES, {"join_rule": "public"}, {"join_rule": "invite"}),
        (VISIBILITY, {"history_visibility": "world_readable"}, {"history_visibility": "shared"}),
    ],
)
async def test_an_open_room_needs_a_list_of_who_may_speak(
    room: Room, daemon_in_room: Daemon, kind: str, opened: dict[str, str], closed: dict[str, str]
) -> None:
    human, daemon = room.human, daemon_in_room
    async with daemon.api.events(subscriber="mos", types="message") as stream:
        await human.set_state(kind, opened)
        await down(daemon, r"connector\.matrix\.allowed_senders")
        await human.say("anybody could have said it")
        waiting = await daemon.api.send("waits")
        await human.set_state(kind, closed)
        await ok(daemon)
        assert (await daemon.api.final(waiting["id"]))["state"] == "delivered"
        await human.say("a member said it")
        assert (await stream.next())["text"] == "a member said it"
        await human.set_state(kind, opened)
        await down(daemon, r"connector\.matrix\.allowed_senders")
        daemon.reconfigure("matrix", **room.settings, allowed_senders=[human.user_id])
        assert (await daemon.api.reload()).status == 200
        await ok(daemon)
        await human.say("and now I may")
        assert (await stream.next())["text"] == "and now I may"


async def test_only_those_on_the_list_are_heard(
    synapse: Synapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    room = await make_room(synapse)
    stranger = await synapse.human()
    await room.human.invite(stranger.user_id)
    await stranger.join(room.room_id)
    allowed = [room.human.user_id]
    daemon = make_daemon(room, args=["--log-level", "debug"], allowed_senders=allowed)
    await daemon.start()
    await ok(daemon)
    async with daemon.api.events(subscriber="mos", types="message,edit,reaction,redaction") as read:
        heard = await room.human.say("I may speak")
        refused = await stranger.say("Zwiebelfisch")
        await stranger.edit(heard, "Zwiebelfisch")
        await stranger.react(heard, "👎")
        await stranger.redact(refused)
        await room.human.set_state("m.room.power_levels", {"users": {stranger.user_id: 100}})
        taken = await stranger.redact(heard)
        last = await room.human.say("the last")
        events = await read.take(3)
    assert [(event["type"], event["id"]) for event in events] == [
        *(("message", heard), ("redaction", taken), ("message", last)),
    ]
    metrics = await daemon.api.request("GET", "/v1/metrics")
    assert re.search(r"^fleetchatd_refused_senders_total(\{.*\})? 3(\.0)?$", metrics.body, re.M)
    assert stranger.user_id in daemon.log_text
    assert "Zwiebelfisch" not in daemon.log_text


@pytest.mark.parametrize("version", ["10", "12"])
async def test_a_room_is_found_by_its_id_whatever_its_shape(
    synapse: Synapse, make_room: MakeRoom, make_daemon: MakeDaemon, version: str
) -> None:
    room = await make_room(synapse, room_version=version)
    assert (":" in room.room_id) == (version == "10")
    daemon = make_daemon(room)
    await daemon.start()
    await ok(daemon)
    async with daemon.api.events(subscriber="mos", types="message,redaction") as stream:
        said = await room.human.say("hello")
        assert (await stream.next())["id"] == said
        await room.human.redact(said)
        assert (await stream.next())["target"] == said
    assert (await daemon.api.send("hello", wait_s=20))["state"] == "delivered"


async def test_a_room_is_found_by_its_alias(
    synapse: Synapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    room = await make_room(synapse, alias="fleet-by-name", joined=False)
    daemon = make_daemon(room, room_id=f"#no-such-room:{synapse.server_name}")
    await daemon.start()
    await down(daemon, "no room #no-such-room.*connector.matrix.room_id")
    daemon.reconfigure(
        "matrix", **room.settings | {"room_id": f"#fleet-by-name:{synapse.server_name}"}
    )
    assert (await daemon.api.reload()).status == 200
    await ok(daemon)
    assert (await daemon.api.send("hello", wait_s=20))["state"] == "delivered"
    assert await room.said_by_bot() == ["hello"]


async def test_coming_back_into_a_room_that_hides_its_past_says_so(
    synapse: Synapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    room = await make_room(synapse, history_visibility="joined")
    daemon = make_daemon(room)
    await daemon.start()
    await ok(daemon)
    async with daemon.api.events(subscriber="mos", types="message,gap") as stream:
        await room.human.say("heard")
        await stream.next()
        await room.human.kick(room.bot.user_id)
        await down(daemon, "kicked")
        await room.human.say("hidden")
        await room.human.invite(room.bot.user_id)
        await ok(daemon)
        assert (await stream.next())["type"] == "gap"
        await room.human.say("heard again")
        assert (await stream.next())["text"] == "heard again"


async def test_a_stale_answer_is_not_taken_for_the_present(
    own_synapse: StartSynapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    """By default, Synapse answers the same `/sync` without `since` from its cache for minutes."""
    room = await make_room(await own_synapse(caches={"sync_response_cache_duration": "2m"}))
    for expected in ("ok", "down"):
        daemon = make_daemon(room)  # with a state directory of its own
        await daemon.start()
        await daemon.api.wait_health(lambda health, s=expected: health["status"] == s)  # type: ignore[misc]
        await daemon.terminate()
        if expected == "ok":
            await room.human.kick(room.bot.user_id)
