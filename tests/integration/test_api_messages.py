"""Sending, as contract §3 has it, on the running daemon."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
from typing import Any

import pytest

from tests.harness.api import ApiError
from tests.harness.daemon import Daemon
from tests.harness.raw_http import RawAnswer, exchange
from tests.harness.rooms import MakeDaemon
from tests.harness.waiting import eventually

BODY = b'{"text":"a"}'
MIB = 1 << 20
FIELDS = {
    "id",
    "direction",
    "time",
    "sender",
    "text",
    "thread_id",
    "reply_to",
    "state",
    "remote_id",
    "error",
}


NO_TEXTS: list[Any] = [None, 7, [], {}, True]
NO_IDS: list[Any] = ["", 7, 0.5, [], {}, "x" * 256, True]
NO_FORMATS: list[Any] = ["html", "", 7, ["plain"]]
NO_FLAGS: list[Any] = [0, 1, "true", []]
NO_TIMES: list[Any] = [0, -1, "5", True, 1e300, []]


async def refusal(daemon: Daemon, **request: Any) -> tuple[int, str]:
    """Status and kind of a `POST /v1/messages` that must be refused."""
    reply = await daemon.api.request("POST", "/v1/messages", **request)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.body["status"] == reply.status
    return reply.status, reply.body["kind"]


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


async def test_fifty_posts_of_one_key_at_once_are_one_message(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    async with daemon.api.events(types="message") as heard:
        waits = itertools.cycle([None, 10])
        sent = await asyncio.gather(
            *(daemon.api.send("once", key="k", wait_s=next(waits)) for _ in range(50))
        )
        assert len({message["id"] for message in sent}) == 1
        await daemon.api.send("after")
        assert [event["text"] for event in await heard.take(2)] == ["once", "after"]
    assert len(await daemon.api.history(direction="out")) == 2
    metrics = await daemon.api.demand("GET", "/v1/metrics")
    assert 'fleetchatd_messages_total{state="accepted"} 2.0' in metrics


async def test_a_repeated_key_outlives_a_kill(daemon: Daemon) -> None:
    first = await daemon.api.send("a", key="k", wait_s=10)
    await daemon.kill()
    await daemon.start()
    again = await daemon.api.send("a", key="k")
    assert (again["id"], again["state"]) == (first["id"], "delivered")


@pytest.mark.parametrize(
    "other",
    [
        {"text": "b"},
        {"text": "a "},
        {"text": "a", "thread_id": "t"},
        {"text": "a", "reply_to": "t"},
        {"text": "a", "format": "plain"},
        {"text": "a", "notice": True},
        {"text": "a", "expires_s": 5},
    ],
)
async def test_a_key_with_another_body_is_refused_and_sends_nothing(
    daemon: Daemon, other: dict[str, Any]
) -> None:
    await daemon.api.send("a", key="k")
    refused = await refusal(daemon, body=other, headers={"Idempotency-Key": "k"})
    assert refused == (422, "idempotency-mismatch")
    assert len(await daemon.api.history()) == 1


async def test_keys_are_1_to_200_printable_ascii_characters(daemon: Daemon) -> None:
    for key in ("k", "K" * 200, "a b", '!"~\\'):
        assert (await daemon.api.send("a", key=key))["state"] == "queued"
    for key in ("", "k" * 201, "kéy"):
        refused = await refusal(daemon, body={"text": "a"}, headers={"Idempotency-Key": key})
        assert refused == (400, "bad-key"), key
    for raw in (b"k\tk", b"k\x7f", b"\xff", b"a\r\nIdempotency-Key: b"):
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nIdempotency-Key: " + raw
        answer = await exchange(daemon.socket, head + b"\r\nContent-Length: 12\r\n\r\n" + BODY)
        assert answer.status == 400, raw
    assert len(await daemon.api.history()) == 4


async def test_bodies_that_are_no_json_are_400(daemon: Daemon) -> None:
    for data in (
        b"",
        b"hi",
        b"{",
        b'{"text": "a"} x',
        b"{'text': 'a'}",
        b'{"text": NaN}',
        b'{"text": "a", "expires_s": Infinity}',
        b"\xef\xbb\xbf" + b'{"text": "a"}',
        b'{"text": "\xff"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "a\nb"}',
        '{"text": "a"}'.encode("utf-16"),
        b"[" * 200_000,
        b'{"text": ' * 100_000,
    ):
        assert await refusal(daemon, data=data) == (400, "not-json"), data[:40]


async def test_fields_that_are_bad_missing_or_unknown_are_422(daemon: Daemon) -> None:
    bodies: list[Any] = [
        *(None, [], "text", 7, True, {}),
        *({"text": value} for value in NO_TEXTS),
        {"text": "a", "txt": "b"},
        {"text": "a", "Text": "b"},
        {"text": "a", "\ud800": "b"},
        *({"text": "a", "thread_id": value} for value in NO_IDS),
        *({"text": "a", "reply_to": value} for value in NO_IDS),
        *({"text": "a", "format": value} for value in NO_FORMATS),
        *({"text": "a", "notice": value} for value in NO_FLAGS),
        *({"text": "a", "expires_s": value} for value in NO_TIMES),
    ]
    for body in bodies:
        refused = await refusal(daemon, data=json.dumps(body).encode())
        assert refused == (422, "bad-field"), body
    assert await refusal(daemon, data=b'{"text":"a","expires_s":1e999}') == (422, "bad-field")
    assert await daemon.api.history() == []


async def test_empty_text_is_422(daemon: Daemon) -> None:
    for text in ("", " ", "\n\t\r", "\u2003\u00a0"):
        assert await refusal(daemon, body={"text": text}) == (422, "empty-text")


async def test_lone_surrogates_are_422_and_pairs_are_characters(daemon: Daemon) -> None:
    for field in ("text", "thread_id", "reply_to"):
        for lone in (r"\ud800", r"\udfff", r"\ude00\ud83d"):
            data = json.dumps({"text": "a", field: "MARK"}).replace("MARK", "a" + lone).encode()
            assert await refusal(daemon, data=data) == (422, "lone-surrogate"), data
    reply = await daemon.api.request("POST", "/v1/messages", data=rb'{"text":"\ud83d\ude00"}')
    assert reply.body["text"] == "😀"


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦 \u202eover\u202c e\u0301 \U0001d54f \ufeff \ufffe \uffff \U0010ffff",
        "a\x00b\x1b[31m\x7f\x85\u2028",
        " leading and trailing \n\n",
        '"quoted" \\ {"json": 1}',
    ],
)
async def test_text_comes_back_as_it_went_in(make_daemon: MakeDaemon, text: str) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    async with daemon.api.events(types="message") as heard:
        sent = await daemon.api.send(text, thread_id="ünïcode\x00", wait_s=10)
        event = await heard.next()
    assert sent["text"] == event["text"] == text
    assert (await daemon.api.message(sent["id"]))["text"] == text
    history = await daemon.api.history(thread_id="ünïcode\x00")
    assert [(item["text"], item["direction"]) for item in history] == [(text, "in"), (text, "out")]


async def test_a_body_of_one_mebibyte_passes_and_one_more_byte_is_413(daemon: Daemon) -> None:
    async def post(path: bytes, size: int) -> RawAnswer:
        body = b'{"text":"%b"}' % (b"x" * (size - 11))
        head = b"POST %b?wait_s=10 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        return await exchange(daemon.socket, head % (path, size) + body)

    assert (await post(b"/v1/messages", MIB)).status == 200
    (message,) = await daemon.api.history()
    assert (len(message["text"]), message["state"]) == (MIB - 11, "delivered")
    refused = await post(b"/v1/messages", MIB + 1)
    assert (refused.status, refused.problem["kind"]) == (413, "too-large")


async def test_bad_query_values_are_400_and_say_what_was_meant(daemon: Daemon) -> None:
    for query in (
        *(f"wait_s={value}" for value in ("", "-1", "61", "60.1", "1e1", "nan", "%31x", "+1")),
        "wait_s=1&wait_s=2",
        "wait=1",
        "%00=1",
    ):
        reply = await daemon.api.request("POST", f"/v1/messages?{query}", {"text": "a"})
        assert (reply.status, reply.body["kind"]) == (400, "bad-query"), query
    reply = await daemon.api.request("POST", "/v1/messages?wait=1", {"text": "a"})
    assert "did you mean wait_s?" in reply.body["detail"]
    for query in ("limit=0", "limit=1001", "limit=x", "limit=1.0", "direction=up", "x=1"):
        reply = await daemon.api.request("GET", f"/v1/messages?{query}")
        assert (reply.status, reply.body["kind"]) == (400, "bad-query"), query
    assert await daemon.api.history() == []


async def test_the_content_type_is_not_looked_at(daemon: Daemon) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "junk", "multipart/"):
        reply = await daemon.api.request(
            "POST", "/v1/messages", data=b'{"text":"a"}', headers={"Content-Type": content_type}
        )
        assert reply.status == 202, content_type


async def test_what_is_not_known_is_404(daemon: Daemon) -> None:
    for method, path in (
        ("GET", "/v1/messages/none"),
        ("DELETE", "/v1/messages/none"),
        ("POST", "/v1/messages/none/retry"),
        ("GET", "/v1/messages?before=none"),
        ("GET", "/v2/messages"),
        ("GET", "/"),
    ):
        reply = await daemon.api.request(method, path)
        assert reply.status == reply.body["status"] == 404
        assert reply.body["kind"] in ("unknown-message", "unknown-path")


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


async def test_history_is_newest_first_in_pages_that_neither_skip_nor_repeat(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    for number in range(7):
        await daemon.api.send(str(number), wait_s=10)

    async def whole() -> list[dict[str, Any]] | None:
        found = await daemon.api.history()
        return found if len(found) == 14 else None

    everything = await eventually("all echoes", whole)
    assert all(item.keys() >= FIELDS for item in everything)
    for limit in (1, 2, 3, 5, 14):
        paged: list[dict[str, Any]] = []
        while page := await daemon.api.history(
            limit=limit, before=paged[-1]["id"] if paged else None
        ):
            assert len(page) <= limit
            paged += page
        assert paged == everything
    out = await daemon.api.history(direction="out")
    assert [item["text"] for item in out] == list("6543210")
    incoming = await daemon.api.history(direction="in", limit=3)
    assert [item["text"] for item in incoming] == list("654")
    assert {(item["direction"], item["state"], item["sender"]) for item in incoming} == {
        ("in", None, "human")
    }


async def test_history_of_a_thread_is_of_that_thread_alone(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    for thread in ("t", "u", None):
        await daemon.api.send(f"in {thread}", thread_id=thread, wait_s=10)

    async def both() -> bool:
        found = await daemon.api.history(thread_id="t")
        return [item["direction"] for item in found] == ["in", "out"]

    await eventually("the echo in t", both)
    assert {item["text"] for item in await daemon.api.history(thread_id="t")} == {"in t"}
    assert await daemon.api.history(thread_id="none") == []


async def test_messages_of_a_thread_arrive_in_the_order_of_acceptance(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    async with daemon.api.events(types="message") as stream:
        texts = [str(number) for number in range(100)]
        for text in texts:
            await daemon.api.send(text)
        assert [event["text"] for event in await stream.take(100)] == texts


async def test_who_sent_a_message_is_logged_without_its_text(daemon: Daemon) -> None:
    sent = await daemon.api.send("the words themselves", wait_s=10)
    records = [json.loads(line) for line in daemon.log_text.splitlines()]
    (accepted,) = (record for record in records if record["event"] == "message accepted")
    assert accepted["fleetchat_message_id"] == sent["id"]
    assert accepted["fleetchat_peer_pid"] == os.getpid()
    assert accepted["fleetchat_peer_uid"] == os.getuid()
    assert "the words themselves" not in daemon.log_text


async def test_a_refused_request_reads_well_to_people(daemon: Daemon) -> None:
    with pytest.raises(ApiError) as refused:
        await daemon.api.send("")
    assert refused.value.detail == "field text is empty"
