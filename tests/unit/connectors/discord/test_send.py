"""Sending: one message in the chat for a part, whatever becomes of the answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetchatd.connectors.discord.outgoing import REMEMBERED_S
from fleetchatd.connectors.discord.position import Mark
from fleetchatd.errors import SendAmbiguous, SendDeferred, SendRefused, SendUnknown
from fleetchatd.model import OutboundPart
from tests.fakes import faults
from tests.fakes.calls import Answer, Call
from tests.fakes.discord.limits import Limit
from tests.fakes.discord.refusals import refuse, slow_down
from tests.fakes.discord.server import FakeDiscordChannel
from tests.fakes.discord.things import HISTORY, ORDINARY, SEND
from tests.unit.connectors.discord.wired import wire
from tests.unit.connectors.matrix.wired import Wired, again, part

POSTS = "*/messages"


def longer_ago(mark: str) -> str:
    """That attempt, before Discord has forgotten its nonce."""
    return replace(Mark.decode(mark), at=Mark.decode(mark).at - REMEMBERED_S - 1).encode()


def forget(fleet: FakeDiscordChannel) -> None:
    fleet.server.world.nonces.clear()


async def attempt(wired: Wired, sent: OutboundPart) -> str:
    """An attempt whose outcome is not known; what was remembered of it."""
    mark: str = wired.connector.mark()
    with pytest.raises(SendAmbiguous):
        await wired.connector.send(sent)
    return mark


async def test_nobody_is_mentioned_and_the_nonce_is_enforced(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        await wired.connector.send(part("@everyone look"))
        await wired.connector.send(part("psst", notice=True))
    bodies = [call.body for call in fleet.server.calls_to("POST", POSTS)]
    assert all(body["allowed_mentions"] == {"parse": []} for body in bodies)
    assert all(body["enforce_nonce"] is True for body in bodies)
    assert [body.get("flags") for body in bodies] == [None, 1 << 12]


@pytest.mark.parametrize("mishap", [faults.lose_answer(), faults.cut_answer(), faults.truncate()])
async def test_a_lost_answer_leaves_one_message(
    fleet: FakeDiscordChannel, tmp_path: Path, mishap: faults.Action
) -> None:
    fleet.server.fail("POST", POSTS, mishap)
    async with wire(fleet, tmp_path).receiving() as wired:
        sent = part("once")
        mark = await attempt(wired, sent)
        result = await wired.connector.send(again(sent, mark))
    assert fleet.said_by_bot() == ["once"]
    assert result.remote_id == fleet.channel.last_message_id


async def test_an_old_attempt_is_looked_up_before_it_is_repeated(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.fail("POST", POSTS, faults.lose_answer())
    async with wire(fleet, tmp_path).receiving() as wired:
        sent = part("  spaced out \n")
        mark = longer_ago(await attempt(wired, sent))
    forget(fleet)
    async with wire(fleet, tmp_path, wired.inbox).receiving() as later:
        await later.connector.send(again(sent, mark))
    assert fleet.said_by_bot() == ["spaced out"]


async def test_an_old_attempt_that_never_arrived_is_repeated(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        await wired.connector.send(part("same words"))
        fleet.server.fail("POST", POSTS, faults.drop())
        sent = part("same words")
        mark = longer_ago(await attempt(wired, sent))
        fleet.human.say("same words")
        await wired.connector.send(again(sent, mark))
    assert fleet.said_by_bot() == ["same words"] * 2


async def test_what_is_known_as_another_part_is_not_taken_for_this_one(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        mark = longer_ago(wired.connector.mark())  # of four messages at once
        parts = [part("ok") for _ in range(4)]
        first = (await wired.connector.send(parts[0])).remote_id
        second = (await wired.connector.send(parts[1])).remote_id
        wired.inbox.sent.add(first)  # so far the journal came
    forget(fleet)
    async with wire(fleet, tmp_path, wired.inbox).receiving() as later:
        found = [(await later.connector.send(again(one, mark))).remote_id for one in parts[1:]]
    assert found[0] == second
    assert len({first, *found}) == 4
    assert fleet.said_by_bot() == ["ok"] * 4


async def test_where_the_history_is_closed_an_old_attempt_stays_unknown(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.world.let_in(fleet.channel, fleet.bot, ORDINARY & ~HISTORY, HISTORY)
    async with wire(fleet, tmp_path).receiving("degraded") as wired:
        await wired.until(lambda: wired.health.receiving)
        with pytest.raises(SendUnknown, match="history"):
            await wired.connector.send(part("x", longer_ago(wired.connector.mark())))
    assert fleet.said_by_bot() == []


async def test_own_messages_are_confirmed(fleet: FakeDiscordChannel, tmp_path: Path) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        sent = part("hello")
        result = await wired.connector.send(sent)
        await wired.until(lambda: wired.inbox.confirmed)
        assert wired.inbox.confirmed == {sent.transaction_id: result.remote_id}


# -- threads


async def test_a_message_opens_a_thread_named_after_its_first_line(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        header = fleet.human.say("Which one?\nThis or that?")
        for text in ("this", "no, that"):
            await wired.connector.send(part(text, thread_id=header))
        own = (await wired.connector.send(part("Shall I?"))).remote_id
        await wired.connector.send(part("Or not?", thread_id=own))
    threads = fleet.server.world.channels
    assert (threads[header].name, threads[own].name) == ("Which one?", "Shall I?")
    assert fleet.said_by_bot(threads[header])[-2:] == ["this", "no, that"]
    assert fleet.said_by_bot() == ["Shall I?"]


async def test_a_thread_that_was_opened_in_the_same_moment_is_used(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        header = fleet.human.say("Which one?")
        hold = fleet.server.hold("POST", "*/threads")
        async with asyncio.TaskGroup() as group:
            group.create_task(wired.connector.send(part("this", thread_id=header)))
            await hold.reached()
            thread = fleet.human.open_thread(header)
            hold.release()
    assert fleet.said_by_bot(thread)[-1] == "this"
    assert fleet.said_by_bot() == []


async def test_a_reply_into_an_archived_thread_opens_it_again(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    thread = fleet.human.open_thread(name="old")
    fleet.human.archive(thread.id)
    async with wire(fleet, tmp_path).receiving() as wired:
        await wired.connector.send(part("still there", thread_id=thread.id))
    assert (fleet.said_by_bot(thread), thread.archived) == (["still there"], False)


async def test_a_locked_thread_fails_the_message_and_says_what_to_do(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    thread = fleet.human.open_thread(name="old")
    fleet.server.world.archive(thread, locked=True)
    async with wire(fleet, tmp_path).receiving() as wired:
        with pytest.raises(SendRefused, match="unlock the thread"):
            await wired.connector.send(part("x", thread_id=thread.id))


async def test_what_is_no_thread_of_ours_is_refused_and_nothing_is_sent_anywhere(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world = fleet.server.world
    other = world.add_channel("other", closed=False)
    foreign = world.open_thread(other, fleet.human.user, "foreign")
    elsewhere = world.say(other, fleet.human.user, "elsewhere")
    hidden = world.add_channel("hidden")
    async with wire(fleet, tmp_path).receiving() as wired:
        places = [other.id, foreign.id, elsewhere.id, hidden.id, fleet.channel.id]
        for thread_id in (*places, "123456", "../../users", "", "$event"):
            with pytest.raises(SendRefused, match="thread"):
                await wired.connector.send(part("x", thread_id=thread_id))
        gone = fleet.human.open_thread(name="gone")
        await wired.connector.send(part("in it", thread_id=gone.id))
        world.remove(gone)
        for _ in range(2):
            with pytest.raises(SendRefused):
                await wired.connector.send(part("x", thread_id=gone.id))
        with pytest.raises(SendRefused, match="reply"):
            await wired.connector.send(part("x", reply_to="$event"))
    said = [one.content for place in world.channels.values() for one in place.history()]
    assert "x" not in said


# -- refusals


async def test_refusals_of_a_server_that_names_a_charset_are_understood(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.mime = "application/json; charset=utf-8"
    async with wire(fleet, tmp_path).receiving() as wired:
        header = fleet.human.say("Which one?")
        await wired.connector.send(part("this", thread_id=header))
        with pytest.raises(SendRefused, match="no such message"):
            await wired.connector.send(part("x", thread_id="123"))
        fleet.server.fail("POST", POSTS, slow_down(7.0))
        with pytest.raises(SendDeferred) as error:
            await wired.connector.send(part("x"))
        assert error.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "*/channels/{}"), ("POST", "*/messages/{}/threads")]
)
async def test_an_answer_that_is_no_channel_says_nothing_of_a_thread(
    fleet: FakeDiscordChannel, tmp_path: Path, method: str, path: str
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        header = fleet.human.say("Which one?")
        for action in (faults.html(200), faults.reply({}), faults.reply({"id": "5"})):
            fleet.server.fail(method, path.format(header), action)
            with pytest.raises(SendDeferred):
                await wired.connector.send(part("this", thread_id=header))
        await wired.connector.send(part("this", thread_id=header))
    assert fleet.said_by_bot() == []


@pytest.mark.parametrize(
    ("told", "header", "pause_s"),
    [
        (1.5, "", 1.5),
        (1.5, "7", 1.5),
        ("soon", "7", 7.0),
        (-1, "-1", 0.0),
        (10**30, "", 3600.0),
        (None, "9" * 400, 0.0),
    ],
)
async def test_who_asks_to_slow_down_is_obeyed_also_if_it_is_not_discords_own_proxy(
    fleet: FakeDiscordChannel, tmp_path: Path, told: object, header: str, pause_s: float
) -> None:
    answer = Answer.of({"message": "slower", "retry_after": told}, 429, Retry_After=header)
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.server.fail("POST", POSTS, faults.respond(answer))
        with pytest.raises(SendDeferred, match="429 slower") as error:
            await wired.connector.send(part("x"))
    assert error.value.retry_after_s == pause_s


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        (faults.drop(), SendAmbiguous),
        (faults.html(503), SendAmbiguous),
        (faults.reply({"id": 5}), SendAmbiguous),
        (faults.body(b"["), SendAmbiguous),
        (refuse(503), SendAmbiguous),
        (refuse(400, 50035, "Invalid Form Body"), SendRefused),
        (refuse(403, 50013, "Missing Permissions"), SendRefused),
        (faults.html(403), SendAmbiguous),
        (slow_down(300.0), SendDeferred),
    ],
)
async def test_what_became_of_an_attempt_is_told_apart(
    fleet: FakeDiscordChannel, tmp_path: Path, action: faults.Action, outcome: type[Exception]
) -> None:
    fleet.server.fail("POST", POSTS, action)
    async with wire(fleet, tmp_path).receiving() as wired:
        with pytest.raises(outcome) as error:
            await wired.connector.send(part("x"))
        if outcome is SendDeferred:
            assert getattr(error.value, "retry_after_s", None) == 300.0
        assert wired.health.status == "ok"


async def test_missing_permissions_fail_a_message_and_show_in_health(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.server.world.let_in(fleet.channel, fleet.bot, ORDINARY & ~SEND, SEND)
        health = await wired.until_status("degraded")
        assert "Send Messages" in (health.detail or "")
        with pytest.raises(SendRefused, match="Missing Permissions"):
            await wired.connector.send(part("x"))


async def test_a_channel_that_is_closed_to_us_is_down_and_messages_wait(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world: Any = fleet.server.world
    async with wire(fleet, tmp_path).receiving() as wired:
        told, world.happened = world.happened, lambda name, data, channel: None
        world.let_in(fleet.channel, fleet.bot, 0, 0)  # nobody tells us
        with pytest.raises(SendDeferred):
            await wired.connector.send(part("x"))
        health = await wired.until_status("down")
        assert "invite the bot" in (health.detail or "")
        assert not health.receiving
        with pytest.raises(SendDeferred):
            await wired.connector.send(part("x"))
        world.happened = told
        world.let_in(fleet.channel, fleet.bot)
        await wired.until_status("ok")
        await wired.connector.send(part("y"))
    assert fleet.said_by_bot() == ["y"]


@pytest.mark.parametrize("known", [True, False])
async def test_messages_for_a_thread_wait_while_its_channel_is_closed_to_us(
    fleet: FakeDiscordChannel, tmp_path: Path, known: bool
) -> None:
    world: Any = fleet.server.world
    async with wire(fleet, tmp_path).receiving() as wired:
        told, world.happened = world.happened, lambda name, data, channel: None
        thread = fleet.human.open_thread(name="aside")
        if known:
            await wired.connector.send(part("before", thread_id=thread.id))
        world.let_in(fleet.channel, fleet.bot, 0, 0)  # nobody tells us
        mark = longer_ago(wired.connector.mark())
        with pytest.raises(SendDeferred):
            await wired.connector.send(part("x", mark, thread_id=thread.id))
        with pytest.raises(SendDeferred):
            await wired.connector.send(part("x", thread_id=thread.id))
        health = await wired.until_status("down")
        assert "invite the bot" in (health.detail or "")
        world.happened = told
        world.let_in(fleet.channel, fleet.bot)
        await wired.until_status("ok")
        await wired.connector.send(part("after", thread_id=thread.id))
    assert fleet.said_by_bot(thread)[-1] == "after"


@pytest.mark.parametrize("then", [slow_down(300.0), refuse(403, 50013)])
async def test_what_the_library_tried_twice_is_in_doubt_whatever_the_last_answer_says(
    fleet: FakeDiscordChannel, tmp_path: Path, then: faults.Action
) -> None:
    async def processed(_call: Call, process: faults.Process) -> Answer:
        await process()
        return Answer.of({"message": "Bad Gateway", "code": 0}, 502)

    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.server.fail("POST", POSTS, processed)
        fleet.server.fail("POST", POSTS, then, nth=2)
        with pytest.raises(SendAmbiguous):
            await wired.connector.send(part("once"))
    assert fleet.said_by_bot() == ["once"]


async def test_bursts_wait_for_the_rate_limit_and_keep_their_order(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    fleet.server.limits.by_route["POST channels/*/messages"] = Limit(5, 0.3)
    fleet.server.fail("POST", POSTS, slow_down(0.1), nth=3)
    fleet.server.fail("POST", POSTS, slow_down(0.1, for_all=True), nth=9)
    async with wire(fleet, tmp_path).receiving() as wired:
        texts = [f"message {number}" for number in range(20)]
        for text in texts:
            await wired.connector.send(part(text))
    assert fleet.said_by_bot() == texts
    assert fleet.server.limits.refused <= 1


async def test_a_token_that_is_refused_while_sending_ends_everything_until_a_reload(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.server.refusing_tokens = True
        with pytest.raises(SendDeferred):
            await wired.connector.send(part("x"))
        await wired.until(lambda: not wired.health.authenticated)
        assert wired.health.status == "down"
        assert "DISCORD_BOT_TOKEN" in (wired.health.detail or "")
        asked = len(fleet.server.calls)
        with pytest.raises(SendDeferred):
            await wired.connector.send(part("x"))
        assert len(fleet.server.calls) == asked
