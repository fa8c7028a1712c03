"""The harness itself: what other tests take for granted of their servers."""

from __future__ import annotations

import asyncio
import secrets

import aiohttp
import pytest

from tests.harness import matrix_http
from tests.harness.human import Human
from tests.harness.matrix_http import MatrixError, path
from tests.harness.rooms import MakeRoom, Room, StartSynapse
from tests.harness.synapse import Synapse

pytestmark = pytest.mark.synapse


async def test_what_the_bot_says_is_seen_by_the_human_in_order(room: Room) -> None:
    for text in ("one", "two", "three"):
        await room.bot_hands.say(text)
    assert await room.said_by_bot() == ["one", "two", "three"]
    assert (await room.human.hears("two"))["sender"] == room.bot.user_id


async def test_rooms_of_two_tests_share_nothing(synapse: Synapse, make_room: MakeRoom) -> None:
    one, two = await make_room(synapse), await make_room(synapse)
    await one.human.say("only here")
    assert await two.human.texts() == []
    assert {one.human.user_id, one.bot.user_id}.isdisjoint({two.human.user_id, two.bot.user_id})


async def test_history_is_whole_beyond_one_page(room: Room) -> None:
    said = [str(number) for number in range(120)]
    for text in said:
        await room.human.say(text)
    assert await room.human.texts() == said


async def test_threads_replies_edits_reactions_and_redactions_arrive(room: Room) -> None:
    human = room.human
    root = await human.say("root")
    reply = await human.say("in the thread", thread=root)
    await human.say("an answer", reply_to=root)
    edit = await human.edit(root, "rooted")
    reaction = await human.react(root, "🚀")
    gone = await human.redact(reply, "oops")
    events = {event["event_id"]: event for event in await human.history()}
    assert events[edit]["content"]["m.new_content"]["body"] == "rooted"
    assert events[reaction]["content"]["m.relates_to"]["key"] == "🚀"
    assert events[gone]["content"] == {"redacts": reply, "reason": "oops"}
    assert events[reply]["content"].get("body") is None


async def test_the_same_transaction_id_is_the_same_event(room: Room) -> None:
    content = {"msgtype": "m.text", "body": "once"}
    first = await room.human.send_raw("m.room.message", content, txn="t1")
    assert await room.human.send_raw("m.room.message", content, txn="t1") == first
    assert await room.human.texts() == ["once"]


async def test_a_kicked_bot_is_out(room: Room) -> None:
    await room.human.kick(room.bot.user_id, "enough")
    with pytest.raises(MatrixError) as refused:
        await room.bot_hands.say("still here")
    assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")


async def test_an_upgraded_room_has_a_tombstone(room: Room) -> None:
    replacement = await room.human.upgrade_room()
    tombstone = await room.human.wait_for(lambda event: event["type"] == "m.room.tombstone")
    assert tombstone["content"]["replacement_room"] == replacement


@pytest.mark.parametrize(
    ("settings", "kind", "content"),
    [
        ({"join_rule": "public"}, "m.room.join_rules", {"join_rule": "public"}),
        ({"encrypted": True}, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}),
        ({"room_version": "10"}, "m.room.create", {"room_version": "10"}),
    ],
)
async def test_rooms_are_made_as_asked(
    synapse: Synapse,
    make_room: MakeRoom,
    settings: dict[str, object],
    kind: str,
    content: dict[str, object],
) -> None:
    room = await make_room(synapse, joined=False, **settings)
    state = {event["type"]: event["content"] for event in await room.human.state()}
    assert content.items() <= state[kind].items()


async def whoami(human: Human) -> tuple[int, object]:
    status, body, _ = await human.ask("GET", path("account", "whoami"))
    return status, body.get("soft_logout")


async def test_a_deleted_device_and_a_logout_are_hard(synapse: Synapse, room: Room) -> None:
    again = await synapse.login(room.bot)
    await synapse.delete_device(room.bot)
    assert await whoami(room.bot_hands) == (401, False)
    await synapse.logout(again)
    assert await whoami(Human(synapse.base_url, again)) == (401, False)


async def test_what_was_said_survives_a_kill_and_transaction_ids_do_too(
    own_synapse: StartSynapse, make_room: MakeRoom
) -> None:
    server = await own_synapse()
    room = await make_room(server)
    txn = secrets.token_hex(4)
    content = {"msgtype": "m.text", "body": "before"}
    first = await room.human.send_raw("m.room.message", content, txn=txn)
    await server.kill()
    with pytest.raises(aiohttp.ClientError):
        await room.human.say("to nobody")
    await server.start()
    assert await room.human.send_raw("m.room.message", content, txn=txn) == first
    await server.restart()
    assert await room.human.texts() == ["before"]


async def test_a_hung_server_accepts_and_does_not_answer_until_it_resumes(
    own_synapse: StartSynapse,
) -> None:
    server = await own_synapse()
    server.suspend()
    with pytest.raises(asyncio.TimeoutError):
        await matrix_http.ask(server.base_url, "GET", "/_matrix/client/versions", timeout_s=0.3)
    server.resume()
    answer = await matrix_http.ask(server.base_url, "GET", "/_matrix/client/versions")
    assert answer.status == 200


async def test_limits_and_short_lived_tokens_can_be_set_and_spare_the_human(
    own_synapse: StartSynapse, make_room: MakeRoom
) -> None:
    server = await own_synapse(
        rc_message={"per_second": 0.1, "burst_count": 2},
        refreshable_access_token_lifetime="60s",
    )
    room = await make_room(server)
    for number in range(4):
        await room.human.say(str(number))
    await room.bot_hands.say("in time")  # its join was the other of the burst of two
    with pytest.raises(MatrixError) as limited:
        await room.bot_hands.say("too much")
    assert (limited.value.status, limited.value.errcode) == (429, "M_LIMIT_EXCEEDED")
    login = await server.login(room.bot, refresh_token=True)
    assert login.refresh_token
    assert 50_000 < (login.expires_in_ms or 0) <= 60_000


async def test_a_synapse_that_cannot_start_says_why(own_synapse: StartSynapse) -> None:
    with pytest.raises(AssertionError, match="ended at its start"):
        await own_synapse(database={"name": "no-such-engine", "args": {}})
