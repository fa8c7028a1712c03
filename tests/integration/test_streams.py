"""Streams of events, as contract §3 has them, on the running daemon."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.harness.api import ApiError
from tests.harness.daemon import Daemon
from tests.harness.echo import hear


@pytest.fixture
def daemon(echoing: Daemon) -> Daemon:
    return echoing


async def test_the_header_comes_at_once_though_nothing_happens(daemon: Daemon) -> None:
    for query in ({}, {"subscriber": "a"}, {"follow": False, "wait_s": 60}):
        async with asyncio.timeout(5), daemon.api.events(**query) as stream:
            assert stream.headers["Content-Type"] == "application/x-ndjson"


async def test_an_event_has_the_fields_of_its_type(daemon: Daemon) -> None:
    await hear(daemon, "hi")
    events = await daemon.api.pending(after=0)
    fields = {event["type"]: set(event) - {"seq", "type", "time", "connector"} for event in events}
    message = "id sender sender_name text thread_id reply_to class attachments"
    assert fields["message"] == set(message.split())
    assert fields["delivery"] == {"id", "state", "remote_id", "error"}
    assert fields["connector"] == {"status", "reachable", "authenticated", "receiving", "detail"}
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    assert seqs[0] > 0


async def test_an_anonymous_reader_begins_now_or_after_a_seq(daemon: Daemon) -> None:
    await hear(daemon, "a", "b")
    everything = await daemon.api.pending(after=0)
    assert await daemon.api.pending() == []
    for event in everything:
        rest = await daemon.api.pending(after=event["seq"])
        assert rest == [later for later in everything if later["seq"] > event["seq"]]
    for beyond in (everything[-1]["seq"] + 1, 2**63, 10**30):
        with pytest.raises(ApiError) as refused:
            await daemon.api.pending(after=beyond)
        assert (refused.value.status, refused.value.kind) == (422, "unknown-seq")
    assert await daemon.api.subscribers() == []


async def test_bad_queries_are_400(daemon: Daemon) -> None:
    for query in (
        *(f"after={value}" for value in ("", "-1", "1.0", "x", "0x1")),
        *(f"follow={value}" for value in ("", "1", "yes", "True")),
        *(f"types={value}" for value in ("", "messages", "message,", "message,,edit", "Message")),
        *(f"class={value}" for value in ("", "people", "message")),
        *(f"from={value}" for value in ("", "end", "0")),
        *(f"wait_s={value}" for value in ("61", "-1", "x")),
        *("takeover=maybe", "unknown=1", "follow=false&follow=false"),
        "from=start",
        "subscriber=a&after=0",
    ):
        reply = await daemon.api.request("GET", f"/v1/events?follow=false&{query}")
        assert (reply.status, reply.body["kind"]) == (400, "bad-query"), query
    reply = await daemon.api.request("GET", "/v1/events?follow=false&after=-1")
    assert "after must be a whole number, 0 or above" in reply.body["detail"]
    for name in ("", "a b", "ä", "x" * 65, "a%2Fb", "a%0A"):
        reply = await daemon.api.request("GET", f"/v1/events?follow=false&subscriber={name}")
        assert (reply.status, reply.body["kind"]) == (400, "bad-name"), name
    assert await daemon.api.subscribers() == []


async def test_what_is_pending_ends_and_wait_s_waits_for_the_first(daemon: Daemon) -> None:
    async with asyncio.timeout(5):
        assert await daemon.api.pending(types="message") == []
    begun = time.monotonic()
    assert await daemon.api.pending(types="message", wait_s=0.5) == []
    assert time.monotonic() - begun >= 0.5
    async with (
        asyncio.timeout(20),
        daemon.api.events(types="message", follow=False, wait_s=60) as stream,
    ):
        await daemon.api.send("at last")
        assert (await stream.next())["text"] == "at last"
        assert await stream.next_or_end() is None


async def test_waiting_is_for_what_matches(daemon: Daemon) -> None:
    async with daemon.api.events(types="reaction", follow=False, wait_s=1) as stream:
        await hear(daemon, "no reaction")
        assert await stream.next_or_end() is None
