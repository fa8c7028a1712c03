"""The end of the daemon: in order, within seconds, with an answer for everybody."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import aiohttp
import pytest

from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.waiting import eventually

WITHIN_S = 12
"""Seconds, on a busy machine: half of what systemd allows it (25)."""


async def begin(daemon: Daemon) -> None:
    """Start it, and wait until there is a socket; long before it answers there."""

    async def is_there() -> bool:
        return daemon.socket.exists()

    daemon.spawn()
    await eventually("the socket is there", is_there, pause_s=0.001)


def events_in(log: str) -> list[str]:
    return [json.loads(line)["event"] for line in log.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_asked_to_stop_it_exits_0_within_seconds_and_complains_of_nothing(
    daemon: Daemon, number: signal.Signals
) -> None:
    begun = time.monotonic()
    daemon.send_signal(number)
    assert await daemon.ended() == 0
    assert time.monotonic() - begun < WITHIN_S
    assert not daemon.socket.exists()
    records = [json.loads(line) for line in daemon.log_text.splitlines()]
    assert {record["level"] for record in records} == {"info"}
    assert records[-1]["event"] == "fleetchatd is stopping"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_asked_to_stop_while_it_starts_it_exits_0(
    make_daemon: MakeDaemon, number: signal.Signals
) -> None:
    daemon = make_daemon()
    await begin(daemon)
    daemon.send_signal(number)
    assert await daemon.ended() == 0
    assert not daemon.socket.exists()


async def test_asked_to_reload_while_it_starts_it_starts(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    await begin(daemon)
    daemon.send_signal(signal.SIGHUP)
    await daemon.api.wait_health(lambda health: health["status"] == "ok")
    assert await daemon.terminate() == 0


async def test_waiting_posts_get_202_and_streams_a_clean_end(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(delay_s=4)
    await daemon.start()

    async def under_way() -> bool:
        return len(await daemon.api.history()) == 3

    async with (
        daemon.api.events(subscriber="a", types="message") as named,
        daemon.api.events(types="message") as anonymous,
        daemon.api.events(types="message", follow=False, wait_s=60) as waiting,
        asyncio.TaskGroup() as group,
    ):
        posts = [
            group.create_task(
                daemon.api.request("POST", "/v1/messages?wait_s=60", {"text": str(number)})
            )
            for number in range(3)
        ]
        await eventually("three posts that wait", under_way)
        begun = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        for stream in (named, anonymous, waiting):
            assert await stream.next_or_end(5) is None  # and no broken chunk, which would raise
    assert {post.result().status for post in posts} == {202}
    assert {post.result().body["state"] for post in posts} <= {"queued", "sending"}
    assert time.monotonic() - begun < WITHIN_S
    assert await daemon.ended() == 0


async def test_what_was_accepted_before_the_stop_goes_out_after_the_start(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(delay_s=1)
    await daemon.start()
    sent = [await daemon.api.send(str(number)) for number in range(5)]
    assert await daemon.terminate() == 0
    daemon.reconfigure("memory")
    await daemon.start()
    for message in sent:
        assert (await daemon.api.final(message["id"]))["state"] == "delivered"


async def test_a_stop_in_a_burst_of_posts_loses_none_that_was_accepted(daemon: Daemon) -> None:
    accepted: list[str] = []

    async def post_until_gone() -> None:
        while True:
            try:
                reply = await daemon.api.request("POST", "/v1/messages", {"text": "a"})
            except (aiohttp.ClientError, OSError):
                return
            assert reply.status == 202
            accepted.append(reply.body["id"])

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(post_until_gone())

        async def some() -> bool:
            return len(accepted) > 100

        await eventually("a hundred posts", some)
        daemon.send_signal(signal.SIGTERM)
    assert await daemon.ended() == 0
    await daemon.start()
    for message_id in accepted:
        assert (await daemon.api.final(message_id))["state"] == "delivered"


async def test_whoever_waits_in_a_burst_at_the_stop_is_answered_if_it_was_accepted(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(delay_s=1.5)
    await daemon.start()
    statuses: list[int] = []

    async def post() -> None:
        try:
            reply = await daemon.api.request("POST", "/v1/messages?wait_s=50", {"text": "a"})
        except (aiohttp.ClientError, OSError):
            return  # it was not read
        statuses.append(reply.status)

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(300):
            group.create_task(post())
            if number == 250:

                async def some_arrived() -> bool:
                    return bool(await daemon.api.history(limit=1))

                await eventually("the first post", some_arrived, pause_s=0)
                daemon.send_signal(signal.SIGTERM)
    assert set(statuses) == {202}
    assert await daemon.ended() == 0
    assert time.monotonic() - begun < 2 * WITHIN_S
    daemon.reconfigure("memory")
    await daemon.start()
    assert len(await daemon.api.history(limit=1000)) == len(statuses)


async def test_a_reload_just_before_the_stop_does_not_keep_it_alive(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(delay_s=2)
    await daemon.start()
    await daemon.api.send("under way")
    daemon.reconfigure("memory", echo=True)
    daemon.send_signal(signal.SIGHUP)
    daemon.send_signal(signal.SIGTERM)
    assert await daemon.ended(15) == 0
    assert "Traceback" not in daemon.log_text


async def test_two_requests_to_stop_are_one(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(delay_s=2)
    await daemon.start()
    await daemon.api.send("under way")
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        daemon.send_signal(number)
    assert await daemon.ended(15) == 0
    assert events_in(daemon.log_text).count("fleetchatd is stopping") == 1
