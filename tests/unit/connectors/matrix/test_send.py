"""Sending: one event in the room for a part, whatever becomes of the answer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from fleetchatd.connectors.matrix.position import Mark
from fleetchatd.errors import SendAmbiguous, SendDeferred, SendRefused, SendUnknown
from tests.fakes import faults
from tests.fakes.homeserver import FakeHomeserver, FakeMatrixRoom
from tests.fakes.profiles import CONDUIT, SYNAPSE, Profile
from tests.unit.connectors.matrix.wired import again, own_content, part, wire

both = pytest.mark.parametrize("profile", [SYNAPSE, CONDUIT], ids=lambda profile: profile.name)


@both
@pytest.mark.parametrize("fault", [faults.lose_answer, faults.cut_answer, faults.drop])
async def test_a_lost_answer_ends_in_one_event(
    profile: Profile, fault: Any, tmp_path: Path
) -> None:
    async with FakeHomeserver(profile) as server:
        room = server.furnish()
        async with wire(room, tmp_path).receiving() as wired:
            message, mark = part("hello"), wired.connector.mark()
            server.fail("PUT", "*/send/*", fault(), times=2)
            with pytest.raises(SendAmbiguous):
                await wired.connector.send(message)
            server.mend()
            sent = await wired.connector.send(again(message, mark))
            await wired.until(lambda: wired.inbox.confirmed)
        assert wired.inbox.confirmed == {message.transaction_id: sent.remote_id}
        assert wired.inbox.events == []
        assert await room.said_by_bot() == ["hello"]


@both
@pytest.mark.parametrize("reason", ["another device", "a day ago", "a clock set back"])
@pytest.mark.parametrize("arrived", [True, False])
async def test_what_the_server_may_have_forgotten_is_looked_up_before_it_is_repeated(
    profile: Profile, reason: str, arrived: bool, tmp_path: Path
) -> None:
    async with FakeHomeserver(profile) as server:
        room = server.furnish()
        async with wire(room, tmp_path).receiving() as wired:
            await room.human.say("before")
            await wired.until_said("before")
            message, mark = part("hello"), Mark.decode(wired.connector.mark())
            first = None
            if arrived:  # by the login of then, whose transaction ids nobody knows any more
                first = await room.bot_hands.send_raw(
                    "m.room.message", own_content(message), txn=message.transaction_id
                )
            room.room.flood(room.human.user_id, (f"message {n}" for n in range(250)))
            server.forget_transactions()
            at = {"a day ago": time.time() - 86_500, "a clock set back": time.time() + 3_600}
            device = "ANOTHER" if reason == "another device" else mark.device_id
            old = Mark(device, at.get(reason, mark.at), mark.since, mark.anchors)
            sent = await wired.connector.send(again(message, old.encode()))
            assert first in (None, sent.remote_id)
            assert len(server.calls_to("GET", "*/messages")) < 10
        assert await room.said_by_bot() == ["hello"]


async def test_what_can_never_be_looked_up_is_unknown_and_what_can_later_waits(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        mark = Mark.decode(wired.connector.mark())
        old = Mark("ANOTHER", mark.at, mark.since, mark.anchors).encode()
        fake.server.fail("GET", "*/messages", faults.refuse(400, "M_INVALID_PARAM"))
        with pytest.raises(SendUnknown, match="400 M_INVALID_PARAM"):
            await wired.connector.send(again(part("hello"), old))
        fake.server.fail("GET", "*/messages", faults.refuse(500, "M_UNKNOWN"))
        with pytest.raises(SendDeferred, match="500 M_UNKNOWN"):
            await wired.connector.send(again(part("hello"), old))
    assert await fake.said_by_bot() == []


async def test_a_recent_attempt_of_this_login_is_simply_repeated(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        message = part("hello")
        mark = wired.connector.mark()
        sent = await wired.connector.send(message)
        assert await wired.connector.send(again(message, mark)) == sent
    assert not fake.server.calls_to("GET", "*/messages")


@pytest.mark.parametrize(
    ("status", "errcode"),
    [(413, "M_TOO_LARGE"), (400, "M_BAD_JSON"), (403, "M_FORBIDDEN"), (404, "M_NOT_FOUND")],
)
async def test_what_is_refused_for_good_has_the_servers_reason(
    fake: FakeMatrixRoom, tmp_path: Path, status: int, errcode: str
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        fake.server.fail("PUT", "*/send/*", faults.refuse(status, errcode, "no such luck"))
        with pytest.raises(SendRefused, match=f"{status} {errcode}: no such luck"):
            await wired.connector.send(part("hello"))
        await wired.connector.send(part("next"))
    assert wired.health.status == "ok"
    assert await fake.said_by_bot() == ["next"]


async def test_a_proxy_that_finds_it_too_large_ends_it_too(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        fake.server.fail("PUT", "*/send/*", faults.html(413))
        with pytest.raises(SendRefused, match="413"):
            await wired.connector.send(part("hello"))


@pytest.mark.parametrize("fault", [faults.html(), faults.reply([]), faults.reply({}), None])
async def test_forbidden_fails_nothing_until_it_is_known_that_we_are_joined(
    fake: FakeMatrixRoom, tmp_path: Path, fault: faults.Action | None
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        held = fake.server.hold("GET", "*/sync")  # the receiver does not see the kick
        await fake.human.say("wakes the poll")
        await held.reached()
        if fault is None:
            fake.room.kick(fake.bot.user_id)
        else:
            fake.server.fail("GET", "*/joined_rooms", fault)
            fake.server.fail("PUT", "*/send/*", faults.refuse(403, "M_FORBIDDEN"))
        with pytest.raises(SendDeferred):
            await wired.connector.send(part("hello"))
        if fault is None:
            assert wired.health.status == "down"
            assert not wired.health.receiving
        held.release()


async def test_a_server_that_asks_to_slow_down_says_for_how_long(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        body = faults.refuse(429, "M_LIMIT_EXCEEDED", retry_after_ms=1500)
        header = faults.refuse(429, "M_LIMIT_EXCEEDED", retry_after="7")
        silent = faults.refuse(429, "M_LIMIT_EXCEEDED")  # our own pause, whatever is received
        for action, pause_s in ((body, 1.5), (header, 7.0), (silent, 0.0)):
            fake.server.fail("PUT", "*/send/*", action)
            with pytest.raises(SendDeferred) as asked:
                await wired.connector.send(part("hello"))
            assert asked.value.retry_after_s == pause_s


async def test_nothing_goes_into_a_room_that_became_encrypted_during_the_look_up(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        message, mark = part("hello"), Mark("ANOTHER", 0.0, None).encode()
        held = fake.server.hold("GET", "*/messages")
        sending = asyncio.get_running_loop().create_task(wired.connector.send(again(message, mark)))
        await held.reached()
        fake.room.set_state("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
        await wired.until_status("down")
        held.release()
        with pytest.raises(SendDeferred, match="encrypted"):
            await sending
    assert await fake.said_by_bot() == []


async def test_nothing_goes_into_a_room_that_became_encrypted_while_nothing_is_received(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        fake.server.fail("GET", "*/sync", faults.refuse(500, "M_UNKNOWN"), times=None)
        await fake.human.say("wakes the poll")
        await wired.until(lambda: not wired.health.receiving)
        await wired.connector.send(part("good as long as it is not"))
        fake.server.fail("GET", "*/m.room.encryption*", faults.refuse(502, ""))
        with pytest.raises(SendDeferred, match="502"):
            await wired.connector.send(part("nobody knows"))
        fake.room.set_state("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
        with pytest.raises(SendDeferred, match="encrypted"):
            await wired.connector.send(part("secret"))
    assert await fake.said_by_bot() == ["good as long as it is not"]


async def test_nothing_is_sent_before_the_first_contact(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = wire(fake, tmp_path)
    with pytest.raises(SendDeferred):
        await wired.connector.send(part("hello"))
    orjson.loads(wired.connector.mark())
    assert fake.server.calls == []


@both
async def test_threads_and_replies_are_told_to_clients_of_every_age(
    profile: Profile, tmp_path: Path
) -> None:
    async with FakeHomeserver(profile) as server:
        room = server.furnish()
        async with wire(room, tmp_path).receiving() as wired:
            root = await room.human.say("root")
            inside = await room.human.say("inside", thread=root)
            await wired.until_said("root", "inside")
            first = await wired.connector.send(part("one", thread_id=root))
            second = await wired.connector.send(part("two", thread_id=root))
            third = await wired.connector.send(part("three", thread_id=root, reply_to=inside))
            fourth = await wired.connector.send(part("four", reply_to=root))
        relations = [
            room.room.event(sent.remote_id)["content"]["m.relates_to"]
            for sent in (first, second, third, fourth)
        ]
        thread = {"rel_type": "m.thread", "event_id": root}
        assert relations == [
            thread | {"is_falling_back": True, "m.in_reply_to": {"event_id": inside}},
            thread | {"is_falling_back": True, "m.in_reply_to": {"event_id": first.remote_id}},
            thread | {"is_falling_back": False, "m.in_reply_to": {"event_id": inside}},
            {"m.in_reply_to": {"event_id": root}},
        ]


async def test_a_read_receipt_that_fails_harms_nothing(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = wire(fake, tmp_path)
    await wired.connector.mark_read("$before-any-contact")
    async with wired.receiving():
        event_id = await fake.human.say("hello")
        fake.server.fail("POST", "*/receipt/*", faults.refuse(403, "M_FORBIDDEN"))
        await wired.connector.mark_read(event_id)
        await wired.connector.mark_read(event_id)
    assert [receipt[1:] for receipt in fake.room.receipts] == [
        (fake.bot.user_id, "m.read", event_id)
    ]
