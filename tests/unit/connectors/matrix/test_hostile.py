"""Whatever a server answers, the receiver goes on, and what is honest among it arrives."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from fleetchatd.connectors.matrix import api, history
from fleetchatd.errors import SendAmbiguous, SendError
from tests.fakes import faults
from tests.fakes.calls import Answer
from tests.fakes.homeserver import FakeHomeserver, FakeMatrixRoom
from tests.unit.connectors.matrix.wired import again, part, wire

GARBAGE: dict[str, faults.Action] = {
    "html": faults.html(),
    "html-200": faults.html(200),
    "truncated": faults.truncate(),
    "cut": faults.cut_answer(),
    "dropped": faults.drop(),
    "empty": faults.body(b""),
    "list": faults.reply([]),
    "null": faults.reply(None),
    "number": faults.body(b"1e999"),
    "not-utf8": faults.body(b'{"next_batch": "\xff"}'),
    "deep": faults.body(b"[" * 100_000),
    "deep-object": faults.body(b'{"a":' * 100_000),
    "surrogates": faults.body(
        b'{"next_batch":"\\ud800","user_id":"\\ud800","room_id":"!\\udfff","event_id":"\\ud800",'
        b'"device_id":"\\ud800","chunk":[{"event_id":"\\ud800"}],"end":"\\ud800"}'
    ),
    "wrong-types": faults.reply(
        {
            "next_batch": 7,
            "user_id": ["a"],
            "room_id": {},
            "event_id": None,
            "rooms": [],
            "chunk": "abc",
            "end": [],
            "joined_rooms": 5,
        }
    ),
    "bad-error": faults.reply({"errcode": ["M_FORBIDDEN"], "error": {"a": 1}}, 403),
    "surrogate-error": faults.body(b'{"errcode":"M_\\ud800","error":"\\u001b[31m\\ud800"}', 500),
    "redirect": faults.reply({}, 301),
    "teapot": faults.reply({"errcode": "M_TEAPOT", "error": 0}, 418),
    "not-gzip": faults.respond(Answer(200, b"{}", {"Content-Encoding": "gzip"})),
}

hostile = pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())


@hostile
async def test_garbage_in_any_answer_is_survived(
    garbage: faults.Action, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 50)
    alias = "#fleet:fleet.test"
    async with FakeHomeserver() as server:
        room = server.furnish()
        server.world.aliases[alias] = room.room_id
        first = wire(room, tmp_path, room_id=alias)
        for path in ("*/whoami", "*/directory/*", "*/sync"):
            server.fail("GET", path, garbage, times=2)
        async with first.receiving(None):
            await first.until_status("ok")
            server.fail("GET", "*/sync", garbage, times=2)
            await room.human.say("live")
            await first.until_said("live")
        said = [f"message {n}" for n in range(250)]
        room.room.flood(room.human.user_id, said)
        second = wire(room, tmp_path, first.inbox, room_id=alias)
        server.fail("GET", "*/messages", garbage, nth=2, times=2)
        async with second.receiving(None):
            await second.until(lambda: second.inbox.texts[-1:] == said[-1:])
            refused = bool(second.inbox.of_type("gap"))  # an error for good is one
            assert refused or second.inbox.texts == ["live", *said]
        for health in (*first.told, *second.told):
            orjson.dumps(health)  # fit to be shown


@hostile
async def test_garbage_for_an_answer_to_a_message_sends_it_once(
    garbage: faults.Action, fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        message = part("hello")
        mark = wired.connector.mark()
        fake.server.fail("PUT", "*/send/*", garbage, times=None)
        fake.server.fail("GET", "*/joined_rooms", garbage)
        for attempt in (message, again(message, mark)):
            with pytest.raises(SendError) as failure:
                await wired.connector.send(attempt)
            orjson.dumps(str(failure.value))
        fake.server.mend()
        fake.server.fail("GET", "*/messages", garbage, times=2)
        old = mark.replace(str(orjson.loads(mark)["at"]), "0.0")
        with pytest.raises(SendError):
            await wired.connector.send(again(message, old))  # the look-up meets garbage
        fake.server.mend()
        await wired.connector.send(again(message, old))
        await fake.human.hears("hello")
    assert await fake.said_by_bot() == ["hello"]


def _replaced(value: Any, change: Callable[[Any], Any], depth: int = 0) -> Any:
    """Every value below the timeline's outer shape, one after another, made something else."""
    if isinstance(value, dict):
        return {key: _replaced(item, change, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, change, depth + 1) for item in value]
    return change(value)


@pytest.mark.parametrize("junk", [None, 7, -1.5, "", "\ud800", [], {}, True, [[{}]], 10**400])
async def test_events_of_wrong_types_are_passed_over(
    fake: FakeMatrixRoom, tmp_path: Path, junk: Any
) -> None:
    shapes = [
        {"type": "m.room.message", "content": {"body": "x", "msgtype": "m.text"}},
        {"type": "m.room.member", "state_key": fake.bot.user_id, "content": {"membership": "x"}},
        {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "invite"}},
        {"type": "m.room.redaction", "redacts": "$x", "content": {"redacts": "$x"}},
        {"type": "m.reaction", "content": {"m.relates_to": {"event_id": "$x", "key": "k"}}},
    ]
    async with wire(fake, tmp_path).receiving() as wired:
        fake.room.inject(junk)
        for shape in shapes:
            frame = shape | {"event_id": "$x", "sender": "@ann:fleet.test", "unsigned": {}}
            for key in frame:
                if key != "type" and (key, frame["type"]) != ("content", "m.room.join_rules"):
                    fake.room.inject(frame | {key: junk})
            own = frame | {"sender": fake.bot.user_id, "event_id": junk}
            fake.room.inject(own | {"unsigned": {"transaction_id": junk}, "state_key": "x"})
            fake.room.inject(_replaced(shape, lambda _: junk) | {"event_id": junk})
        # The bot's own membership must not be among what was made up.
        fake.room.join(fake.bot.user_id)
        await fake.human.say("still here")
        await wired.until(lambda: "still here" in wired.inbox.texts)
        for event in wired.inbox.events:
            orjson.dumps(event.to_json())
        orjson.dumps([batch.confirmations for batch in wired.inbox.batches])


async def test_lone_surrogates_in_what_people_say_are_replaced(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        fake.server.fail("GET", "*/sync", faults.rewrite(faults.lone_surrogates), times=None)
        fake.room.say(fake.human.user_id, "half \ud83d of it")
        await wired.until(lambda: wired.inbox.texts)
        assert wired.inbox.texts == ["half \ufffd of it"]


async def test_an_answer_without_end_is_refused(
    fake: FakeMatrixRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MAX_ANSWER_BYTES", 200_000)
    huge = json.dumps({"next_batch": "s1", "filler": "x" * 300_000}).encode()
    packed = {"Content-Encoding": "gzip"}
    for answer in (Answer(200, huge), Answer(200, gzip.compress(huge), packed)):
        async with wire(fake, tmp_path).receiving() as wired:
            fake.server.fail("GET", "*/sync", faults.respond(answer), times=None)
            await fake.human.say("wakes the poll")
            health = await wired.until_status("degraded")
            assert "more than 200000 bytes" in (health.detail or "")
            fake.server.mend()
            await wired.until_status("ok")
            await wired.until_said("wakes the poll")


async def test_pages_that_lead_in_a_circle_end(fake: FakeMatrixRoom, tmp_path: Path) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        pass
    fake.room.flood(fake.human.user_id, (f"message {n}" for n in range(150)))
    turns = {"p1": "p2", "p2": "p3"}

    async def circle(call: Any, _process: Any) -> Answer:
        return Answer.of({"chunk": [], "end": turns.get(call.query["from"], "p1")})

    fake.server.fail("GET", "*/messages", circle, times=None)
    async with wire(fake, tmp_path, wired.inbox).receiving() as second:
        await second.until(lambda: second.inbox.texts[-1:] == ["message 149"])
    assert len(fake.server.calls_to("GET", "*/messages")) == 4


@pytest.mark.parametrize("asked", [-5, "soon", None, True, 10**400, [], 0.001])
async def test_however_a_server_asks_for_patience_it_is_not_asked_at_once(
    fake: FakeMatrixRoom, tmp_path: Path, asked: Any
) -> None:
    refusal = faults.refuse(429, "M_LIMIT_EXCEEDED", retry_after_ms=asked)
    fake.server.fail("GET", "*/whoami", refusal, times=1)
    wired = wire(fake, tmp_path)
    if asked == 10**400:
        async with wired.receiving("degraded"):
            await wired.until(lambda: wired.pauses.waits)
            assert wired.pauses.waits == [api.LONGEST_PAUSE_S]
        return
    async with wired.receiving():
        assert len(wired.pauses.waits) == 1


async def test_an_ambiguous_answer_is_not_taken_for_a_refusal(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    async with wire(fake, tmp_path).receiving() as wired:
        for action in (faults.refuse(502), faults.refuse(404, "M_UNRECOGNIZED"), faults.html(404)):
            fake.server.fail("PUT", "*/send/*", action)
            with pytest.raises(SendAmbiguous):
                await wired.connector.send(part("hello"))
            fake.server.mend()
