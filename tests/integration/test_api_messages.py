"""Sending, as contract §3 has it, on the running daemon."""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import Any

import pytest

from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.waiting import eventually


async def test_a_message_is_accepted_then_delivered(daemon: Daemon) -> None:
    accepted = await daemon.api.request("POST", "/v1/messages", {"text": "hi"})
    assert (accepted.status, accepted.body["state"]) == (202, "queued")
    message = await daemon.api.final(accepted.body["id"])
    assert message["state"] == "delivered"
    assert message["remote_id"] == message["remote_ids"][0]
    assert message["error"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["time"])


async def test_the_defaults_are_markdown_no_notice_and_no_thread(daemon: Daemon) -> None:
    bare = await daemon.api.send("a", key="k")
    full = await daemon.api.send(
        "a",
        key="k",
        thread_id=None,
        reply_to=None,
        format="markdown",
        notice=False,
        expires_s=None,
    )
    assert full["id"] == bare["id"]
    assert (bare["format"], bare["notice"], bare["thread_id"]) == ("markdown", False, None)


async def test_waiting_gives_200_with_the_final_state_or_202_when_it_takes_longer(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(delay_s=1)
    await daemon.start()
    early = await daemon.api.request("POST", "/v1/messages?wait_s=0.2", {"text": "a"})
    assert (early.status, early.body["state"]) == (202, "sending")
    late = await daemon.api.request("POST", "/v1/messages?wait_s=20", {"text": "b"})
    assert (late.status, late.body["state"]) == (200, "delivered")


async def test_waiting_for_a_message_that_is_final_already_gives_it_at_once(daemon: Daemon) -> None:
    first = await daemon.api.send("a", key="k", wait_s=10)
    async with asyncio.timeout(5):
        again = await daemon.api.request(
            "POST", "/v1/messages?wait_s=60", {"text": "a"}, headers={"Idempotency-Key": "k"}
        )
    assert (again.status, again.body) == (200, first)


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦 \u202eover\u202c e\u0301 \U0001d54f \ufeff \ufffe \uffff \U0010ffff",
        "a\x00b\x1b[31m\x7f\x85\u2028",
        " leading and trailing \n\n",
        '"quoted" \\ {"json": 1}',
    ],
)
async def test_text_comes_back_as_it_went_in(echoing: Daemon, text: str) -> None:
    async with echoing.api.events(types="message") as heard:
        sent = await echoing.api.send(text, thread_id="ünïcode\x00", wait_s=10)
        event = await heard.next()
    assert sent["text"] == event["text"] == text
    assert (await echoing.api.message(sent["id"]))["text"] == text
    history = await echoing.api.history(thread_id="ünïcode\x00")
    assert [(item["text"], item["direction"]) for item in history] == [(text, "in"), (text, "out")]


async def test_a_queued_message_can_be_cancelled_once_and_retried_and_one_under_way_cannot(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(delay_s=2)
    await daemon.start()
    under_way, queued = [await daemon.api.send(text) for text in ("under way", "queued")]
    one, other = f"/v1/messages/{under_way['id']}", f"/v1/messages/{queued['id']}"
    assert (await daemon.api.request("DELETE", one)).body["kind"] == "not-queued"
    cancelled = await daemon.api.request("DELETE", other)
    assert (cancelled.status, cancelled.body["state"]) == (200, "failed")
    assert cancelled.body["error"] == "cancelled"
    assert (await daemon.api.request("DELETE", other)).status == 409
    retried = await daemon.api.request("POST", f"{other}/retry")
    assert (retried.status, retried.body["state"], retried.body["error"]) == (202, "queued", None)
    assert (await daemon.api.request("POST", f"{other}/retry")).body["kind"] == "not-failed"
    assert (await daemon.api.final(queued["id"]))["state"] == "delivered"
    assert (await daemon.api.request("POST", f"{other}/retry")).status == 409
    assert (await daemon.api.request("DELETE", other)).status == 409


async def test_whoever_waits_for_a_message_learns_that_it_was_cancelled(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(delay_s=3)
    await daemon.start()
    await daemon.api.send("before it")

    async def waited_for() -> dict[str, Any] | None:
        (newest,) = await daemon.api.history(limit=1)
        return newest if newest["text"] == "waited for" else None

    async def cancel() -> None:
        message = await eventually("the second message", waited_for)
        await daemon.api.demand("DELETE", f"/v1/messages/{message['id']}")

    reply, _ = await asyncio.gather(
        daemon.api.request("POST", "/v1/messages?wait_s=50", {"text": "waited for"}), cancel()
    )
    assert (reply.status, reply.body["error"]) == (200, "cancelled")


async def test_a_message_expires_unsent(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(delay_s=2)
    await daemon.start()
    await daemon.api.send("before it")
    sent = await daemon.api.send("too late", expires_s=0.3, wait_s=10)
    assert (sent["state"], sent["error"]) == ("failed", "expired")


async def test_a_delivery_event_tells_every_end(daemon: Daemon) -> None:
    async with daemon.api.events(types="delivery") as stream:
        sent = await daemon.api.send("a", wait_s=10)
        event = await stream.next()
    assert {key: event[key] for key in ("type", "id", "state", "remote_id", "error")} == {
        "type": "delivery",
        "id": sent["id"],
        "state": "delivered",
        "remote_id": sent["remote_id"],
        "error": None,
    }


async def test_messages_of_a_thread_arrive_in_the_order_of_acceptance(
    echoing: Daemon,
) -> None:
    async with echoing.api.events(types="message") as stream:
        texts = [str(number) for number in range(100)]
        for text in texts:
            await echoing.api.send(text)
        assert [event["text"] for event in await stream.take(100)] == texts


async def test_who_sent_a_message_is_logged_without_its_text(daemon: Daemon) -> None:
    sent = await daemon.api.send("the words themselves", wait_s=10)
    records = [json.loads(line) for line in daemon.log_text.splitlines()]
    (accepted,) = (record for record in records if record["event"] == "message accepted")
    assert accepted["fleetchat_message_id"] == sent["id"]
    assert accepted["fleetchat_peer_pid"] == os.getpid()
    assert accepted["fleetchat_peer_uid"] == os.getuid()
    assert "the words themselves" not in daemon.log_text
