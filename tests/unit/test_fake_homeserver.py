"""The scripted homeserver: its profiles differ as they should, its faults strike as scripted.

That its honest answers are right is shown by tests/integration/test_fake_against_synapse.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import aiohttp
import pytest

from tests.fakes import faults
from tests.fakes.faults import Action
from tests.fakes.homeserver import FakeHomeserver, FakeMatrixRoom
from tests.fakes.profiles import CONDUIT, SYNAPSE
from tests.harness.matrix_http import MatrixError, path

SYNC = "/_matrix/client/v3/sync"


@pytest.fixture
def fleet(fake: FakeMatrixRoom) -> FakeMatrixRoom:
    return fake


async def sync(fleet: FakeMatrixRoom, since: str | None = None, **query: str) -> Any:
    query = {"timeout": "0", **query} | ({} if since is None else {"since": since})
    return (await fleet.bot_hands.ask("GET", SYNC, query=query)).body


def timeline(fleet: FakeMatrixRoom, body: Any) -> Any:
    return body["rooms"]["join"][fleet.room.room_id]["timeline"]


def bodies(events: list[Any]) -> list[str]:
    return [event["content"]["body"] for event in events]


# The world


async def test_what_people_do_by_script_and_by_http_is_one_history(fleet: FakeMatrixRoom) -> None:
    fleet.room.say(fleet.human.user_id, "by script")
    await fleet.human.say("by http")
    assert fleet.room.texts() == await fleet.human.texts() == ["by script", "by http"]


async def test_it_is_the_same_server_after_an_outage(fleet: FakeMatrixRoom) -> None:
    address = fleet.server.base_url
    await fleet.server.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await fleet.human.say("to nobody")
    fleet.room.say(fleet.human.user_id, "meanwhile")
    await fleet.server.start()
    assert fleet.server.base_url == address
    assert await fleet.human.texts() == ["meanwhile"]


async def test_every_request_is_on_record_with_what_it_carried(fleet: FakeMatrixRoom) -> None:
    await fleet.bot_hands.send_raw("m.room.message", {"body": "hi"}, txn="t/1")
    [call] = await fleet.server.called("PUT", "*/send/*")
    assert (call.parts[-1], call.body, call.status) == ("t/1", {"body": "hi"}, 200)
    assert call.token == fleet.bot.access_token


async def test_a_tombstone_and_a_ban_reach_the_bot(fleet: FakeMatrixRoom) -> None:
    since = (await sync(fleet))["next_batch"]
    fleet.room.tombstone("!new:fleet.test")
    fleet.room.ban(fleet.bot.user_id, "out")
    left = (await sync(fleet, since))["rooms"]["leave"][fleet.room.room_id]
    tombstone, ban = left["timeline"]["events"]
    assert tombstone["content"]["replacement_room"] == "!new:fleet.test"
    assert ban["content"] == {"membership": "ban", "reason": "out"}


@pytest.mark.parametrize(
    "event", [None, 7, "text", [], {}, {"type": 1, "content": [], "sender": {}}]
)
async def test_hostile_events_are_served_as_they_are(fleet: FakeMatrixRoom, event: object) -> None:
    since = (await sync(fleet))["next_batch"]
    fleet.room.inject(event)
    assert timeline(fleet, await sync(fleet, since))["events"] == [event]


# Tokens and transactions


@pytest.mark.parametrize(("profile", "soft"), [(SYNAPSE, True), (CONDUIT, False)])
async def test_an_expired_token_is_refused_softly_where_the_profile_knows_it(
    profile: Any, soft: bool
) -> None:
    async with FakeHomeserver(profile) as server:
        fleet = server.furnish()
        server.expire_token(fleet.bot)
        status, body, _ = await fleet.bot_hands.ask("GET", path("account", "whoami"))
        assert (status, body["errcode"], body["soft_logout"]) == (401, "M_UNKNOWN_TOKEN", soft)


async def test_a_long_poll_ends_when_its_token_does(fleet: FakeMatrixRoom) -> None:
    since = (await sync(fleet))["next_batch"]
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(sync(fleet, since, timeout="20000"))
        await fleet.server.called("GET", "*/sync", 2)
        fleet.server.revoke_token(fleet.bot)
    assert poll.result()["errcode"] == "M_UNKNOWN_TOKEN"


async def test_forgotten_transactions_are_new_events(fleet: FakeMatrixRoom) -> None:
    for _ in range(2):
        await fleet.bot_hands.send_raw("m.room.message", {"body": "once"}, txn="t")
    fleet.server.forget_transactions()
    await fleet.bot_hands.send_raw("m.room.message", {"body": "once"}, txn="t")
    assert fleet.room.texts() == ["once", "once"]


@pytest.mark.parametrize(("profile", "arrived"), [(SYNAPSE, ["second"]), (CONDUIT, [])])
async def test_a_transaction_id_used_in_another_room_loses_the_message_on_conduit(
    profile: Any, arrived: list[str]
) -> None:
    async with FakeHomeserver(profile) as server:
        fleet = server.furnish()
        other = server.add_room(fleet.human, fleet.bot)
        await fleet.bot_hands.send_raw("m.room.message", {"body": "first"}, txn="t")
        bot = fleet.bot_hands.in_room(other.room_id)
        await bot.send_raw("m.room.message", {"body": "second"}, txn="t")
        assert other.texts() == arrived


# The Conduit profile


async def test_conduit_ignores_the_timeline_limit(conduit: FakeMatrixRoom) -> None:
    since = (await sync(conduit))["next_batch"]
    conduit.room.flood(conduit.human.user_id, map(str, range(30)))
    wide = json.dumps({"room": {"timeline": {"limit": 100}}})
    found = timeline(conduit, await sync(conduit, since, filter=wide))
    assert (len(found["events"]), found["limited"]) == (10, True)


async def test_conduit_wakes_empty_and_gives_the_event_with_the_next_call(
    conduit: FakeMatrixRoom,
) -> None:
    since = (await sync(conduit))["next_batch"]
    async with asyncio.TaskGroup() as tasks:
        poll = tasks.create_task(sync(conduit, since, timeout="20000"))
        await conduit.server.called("GET", "*/sync", 2)
        conduit.room.say(conduit.human.user_id, "wake")
    assert poll.result() == {"next_batch": since}
    assert bodies(timeline(conduit, await sync(conduit, since))["events"]) == ["wake"]


async def test_conduit_takes_garbage_since_for_the_beginning(conduit: FakeMatrixRoom) -> None:
    conduit.room.say(conduit.human.user_id, "old")
    found = timeline(conduit, await sync(conduit, "s1_2_3"))
    assert bodies(found["events"][-1:]) == ["old"]


async def pages(fleet: FakeMatrixRoom, start: str, to: str) -> list[Any]:
    """Everything that paging back from `start` gives, newest first."""
    events: list[Any] = []
    query = {"dir": "b", "from": start, "to": to, "limit": "7"}
    while True:
        where = path("rooms", fleet.room.room_id, "messages")
        body = (await fleet.bot_hands.ask("GET", where, query=query)).body
        events += body["chunk"]
        if "end" not in body:
            return events
        query["from"] = body["end"]


@pytest.mark.parametrize("profile", [SYNAPSE, CONDUIT])
async def test_a_limited_timeline_and_its_pages_hold_every_event_once(profile: Any) -> None:
    async with FakeHomeserver(profile) as server:
        fleet = server.furnish()
        since = (await sync(fleet))["next_batch"]
        fleet.room.flood(fleet.human.user_id, map(str, range(40)))
        found = timeline(fleet, await sync(fleet, since))
        older = await pages(fleet, found["prev_batch"], since)
        assert bodies(older[::-1] + found["events"]) == [str(n) for n in range(40)]


async def test_conduit_pages_past_a_position_where_no_event_of_the_room_stands(
    conduit: FakeMatrixRoom,
) -> None:
    conduit.room.say(conduit.human.user_id, "old")
    last = conduit.room.events[-1]["event_id"]
    conduit.room.receipt(conduit.bot.user_id, "m.read", last)
    since = (await sync(conduit))["next_batch"]
    conduit.room.flood(conduit.human.user_id, map(str, range(12)))
    found = timeline(conduit, await sync(conduit, since))
    older = await pages(conduit, found["prev_batch"], since)
    assert bodies(older[:3]) == ["1", "0", "old"]
    assert older[-1]["type"] == "m.room.create"


async def test_conduit_tells_of_a_kick_without_its_event(conduit: FakeMatrixRoom) -> None:
    since = (await sync(conduit))["next_batch"]
    conduit.room.kick(conduit.bot.user_id, "out")
    lazy = json.dumps({"room": {"state": {"lazy_load_members": True}}})
    left = (await sync(conduit, since, filter=lazy))["rooms"]["leave"][conduit.room.room_id]
    assert left["timeline"]["events"] == left["state"]["events"] == []


# Faults


async def test_a_refusal_strikes_the_requests_it_was_scripted_for(fleet: FakeMatrixRoom) -> None:
    limit = faults.refuse(429, "M_LIMIT_EXCEEDED", retry_after="1", retry_after_ms=900)
    fleet.server.fail("PUT", "*/send/*", limit, nth=2, times=2)
    answers = []
    for number in range(4):
        where = path("rooms", fleet.room.room_id, "send", "m.room.message", str(number))
        answers.append(await fleet.bot_hands.ask("PUT", where, {"body": str(number)}))
    assert [answer.status for answer in answers] == [200, 429, 429, 200]
    assert answers[1].headers["Retry-After"] == "1"
    assert answers[1].body["retry_after_ms"] == 900
    assert fleet.room.texts() == ["0", "3"]


@pytest.mark.parametrize(
    ("action", "said"),
    [(faults.lose_answer(), ["x"]), (faults.cut_answer(), ["x"]), (faults.drop(), [])],
)
async def test_a_broken_connection_leaves_the_message_where_the_fault_says(
    fleet: FakeMatrixRoom, action: Action, said: list[str]
) -> None:
    fleet.server.fail("PUT", "*/send/*", action)
    with pytest.raises(aiohttp.ClientError):
        await fleet.bot_hands.say("x")
    assert fleet.room.texts() == said


async def test_a_hung_request_stays_unanswered_and_does_not_keep_the_server_from_stopping(
    fleet: FakeMatrixRoom,
) -> None:
    fleet.server.fail("PUT", "*/send/*", faults.hang())
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(failing(fleet.bot_hands.say("x")))
        await fleet.server.called("PUT", "*/send/*")
        await fleet.server.stop()
    assert isinstance(sending.result(), aiohttp.ClientError)
    assert fleet.room.texts() == []


async def failing(saying: Awaitable[object]) -> Exception | None:
    """The error that it ends with."""
    try:
        await saying
    except aiohttp.ClientError as error:
        return error
    return None


@pytest.mark.parametrize(("answered", "said_meanwhile"), [(False, []), (True, ["x"])])
async def test_a_held_request_goes_on_when_it_is_released(
    fleet: FakeMatrixRoom, answered: bool, said_meanwhile: list[str]
) -> None:
    held = fleet.server.hold("PUT", "*/send/*", answered=answered)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fleet.bot_hands.say("x"))
        await held.reached()
        assert fleet.room.texts() == said_meanwhile
        held.release()
    assert fleet.room.texts() == ["x"]


@pytest.mark.parametrize(
    ("action", "body"),
    [
        (faults.html(), b"<html>"),
        (faults.body(b'{"event_id": '), b'{"event_id": '),
        (faults.reply([1.5, None]), b"[1.5, null]"),
        (faults.body(b"\xff\xfe"), b"\xff\xfe"),
        (faults.truncate(), b'{"event_id": "'),
    ],
)
async def test_garbage_is_sent_as_it_is(fleet: FakeMatrixRoom, action: Action, body: bytes) -> None:
    fleet.server.fail("PUT", "*/send/*", action)
    url = fleet.server.base_url + path("rooms", fleet.room.room_id, "send", "m.room.message", "1")
    headers = {"Authorization": f"Bearer {fleet.bot.access_token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.put(url, json={"body": "x"}, headers=headers) as answer,
    ):
        assert (await answer.read()).startswith(body)


async def test_sync_answers_can_be_made_to_lie(fleet: FakeMatrixRoom) -> None:
    since = (await sync(fleet))["next_batch"]
    fleet.room.flood(fleet.human.user_id, ["a", "b"])
    lies: dict[Any, tuple[list[str], bool, bool]] = {
        faults.duplicate_timelines: (["a", "a", "b", "b"], False, True),
        faults.reverse_timelines: (["b", "a"], False, True),
        faults.without_prev_batch: (["a", "b"], False, False),
        faults.limited_without_prev_batch: (["a", "b"], True, False),
        faults.empty_limited: ([], True, True),
    }
    for lie, expected in lies.items():
        fleet.server.fail("GET", "*/sync", faults.rewrite(lie))
        found = timeline(fleet, await sync(fleet, since))
        seen = (bodies(found["events"]), found["limited"], "prev_batch" in found)
        assert seen == expected
    fleet.server.fail("GET", "*/sync", faults.rewrite(faults.lone_surrogates))
    events = timeline(fleet, await sync(fleet, since))["events"]
    assert [event["content"]["x\ud800"] for event in events] == ["\udfff", "\udfff"]


async def test_mended_faults_strike_no_more(fleet: FakeMatrixRoom) -> None:
    fleet.server.fail("GET", "*/messages", faults.refuse(500), times=None)
    with pytest.raises(MatrixError):
        await fleet.human.history()
    fleet.server.mend()
    assert await fleet.human.texts() == []
