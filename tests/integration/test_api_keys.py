"""Idempotency keys: one key, one message (contract §3)."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from tests.harness.daemon import Daemon
from tests.harness.raw_http import exchange

BODY = b'{"text":"a"}'


async def test_fifty_posts_of_one_key_at_once_are_one_message(echoing: Daemon) -> None:
    async with echoing.api.events(types="message") as heard:
        waits = itertools.cycle([None, 10])
        sent = await asyncio.gather(
            *(echoing.api.send("once", key="k", wait_s=next(waits)) for _ in range(50))
        )
        assert len({message["id"] for message in sent}) == 1
        await echoing.api.send("after")
        assert [event["text"] for event in await heard.take(2)] == ["once", "after"]
    assert len(await echoing.api.history(direction="out")) == 2
    metrics = await echoing.api.demand("GET", "/v1/metrics")
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
    refused = await daemon.api.refusal(body=other, headers={"Idempotency-Key": "k"})
    assert refused == (422, "idempotency-mismatch")
    assert len(await daemon.api.history()) == 1


async def test_keys_are_1_to_200_printable_ascii_characters(daemon: Daemon) -> None:
    for key in ("k", "K" * 200, "a b", '!"~\\'):
        assert (await daemon.api.send("a", key=key))["state"] == "queued"
    for key in ("", "k" * 201, "kéy"):
        refused = await daemon.api.refusal(body={"text": "a"}, headers={"Idempotency-Key": key})
        assert refused == (400, "bad-key"), key
    for raw in (b"k\tk", b"k\x7f", b"\xff", b"a\r\nIdempotency-Key: b"):
        head = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nIdempotency-Key: " + raw
        answer = await exchange(daemon.socket, head + b"\r\nContent-Length: 12\r\n\r\n" + BODY)
        assert answer.status == 400, raw
    assert len(await daemon.api.history()) == 4
