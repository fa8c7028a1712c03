"""The whole daemon against a scripted homeserver at its worst: once, in order, nothing blocked."""

from __future__ import annotations

import pytest

from tests.fakes import faults
from tests.fakes.homeserver import FakeHomeserver
from tests.fakes.profiles import CONDUIT, SYNAPSE, Profile
from tests.harness.rooms import MakeDaemon

both = pytest.mark.parametrize("profile", [SYNAPSE, CONDUIT], ids=lambda profile: profile.name)


@both
async def test_whatever_becomes_of_the_answers_each_message_is_there_once_and_in_order(
    profile: Profile, make_daemon: MakeDaemon
) -> None:
    async with FakeHomeserver(profile) as server:
        room = server.furnish()
        daemon = make_daemon(room)
        await daemon.start()
        await daemon.api.wait_health(lambda health: health["status"] == "ok")
        async with daemon.api.events(subscriber="mos", types="message,delivery") as stream:
            refused = {2: (413, "M_TOO_LARGE"), 5: (400, "M_BAD_JSON"), 8: (403, "M_FORBIDDEN")}
            mishaps = [
                *(faults.lose_answer(), faults.cut_answer(), faults.truncate(), faults.html()),
                *(faults.drop(), faults.refuse(500), faults.reply({}), faults.body(b"[")),
                faults.refuse(429, "M_LIMIT_EXCEEDED", retry_after_ms=100),
            ]
            texts = [f"message {number}" for number in range(10)]
            for number, text in enumerate(texts):
                if number in refused:
                    action, times = faults.refuse(*refused[number], error="because"), 1
                else:
                    action, times = mishaps.pop(0), 2
                fault = server.fail("PUT", "*/send/*", action, times=times)
                sent = await daemon.api.send(text, wait_s=20)
                assert fault.seen
                server.mend()
                wanted = "failed" if number in refused else "delivered"
                assert (text, sent["state"]) == (text, wanted)
                if number in refused:
                    assert refused[number][1] in sent["error"]
                    assert "because" in sent["error"]
            ends = [(await stream.next())["state"] for _ in texts]
            assert ends == ["failed" if n in refused else "delivered" for n in range(len(texts))]
            for number in range(30):
                room.room.say(room.human.user_id, f"heard {number}")
            heard = [event["text"] for event in await stream.take(30)]
        assert heard == [f"heard {number}" for number in range(30)]
        assert room.room.texts(room.bot.user_id) == [
            text for number, text in enumerate(texts) if number not in refused
        ]
        assert daemon.running
        assert "Traceback" not in daemon.log_text


@both
async def test_garbage_from_the_server_is_an_outage_and_no_more(
    profile: Profile, make_daemon: MakeDaemon
) -> None:
    async with FakeHomeserver(profile) as server:
        room = server.furnish()
        daemon = make_daemon(room)
        await daemon.start()
        await daemon.api.wait_health(lambda health: health["status"] == "ok")
        server.fail("GET", "*/sync", faults.html(200), times=None)
        await room.human.say("wakes the poll")
        health = await daemon.api.wait_health(
            lambda health: not health["connector"]["receiving"], timeout_s=5
        )
        assert health["status"] == "degraded"
        waiting = await daemon.api.send("waits")
        server.mend()
        await daemon.api.wait_health(lambda health: health["status"] == "ok")
        assert (await daemon.api.final(waiting["id"]))["state"] == "delivered"
        pending = await daemon.api.pending(after=0, types="message")
        assert [event["text"] for event in pending] == ["wakes the poll"]
        assert "Traceback" not in daemon.log_text


async def test_a_text_that_people_took_back_while_the_daemon_was_down_never_comes(
    make_daemon: MakeDaemon,
) -> None:
    async with FakeHomeserver() as server:
        room = server.furnish()
        daemon = make_daemon(room)
        await daemon.start()
        await daemon.api.wait_health(lambda health: health["status"] == "ok")
        await daemon.terminate()
        said = await room.human.say("Rosenrot")
        await room.human.redact(said)
        await room.human.say("Schneeweiss")
        await daemon.start()
        async with daemon.api.events(after=0, types="message,redaction") as stream:
            event = await stream.until(lambda event: event.get("text") == "Schneeweiss")
        assert event["sender"] == room.human.user_id
        held = [path for path in daemon.state_dir.rglob("*") if path.is_file()]
        assert held
        assert not any(b"Rosenrot" in path.read_bytes() for path in held)
