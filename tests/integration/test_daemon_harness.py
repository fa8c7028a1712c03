"""The tests' daemon and socket client: what other tests take for granted of them."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal

import aiohttp
import pytest

from tests.harness.api import ApiError
from tests.harness.daemon import Daemon, Death
from tests.harness.rooms import MakeDaemon

SEND = "fleetchatd.connectors.memory:MemoryConnector.send"


async def test_a_started_daemon_answers_and_delivers(daemon: Daemon) -> None:
    sent = await daemon.api.send("hello", wait_s=10)
    assert sent["state"] == "delivered"
    assert await daemon.api.message(sent["id"]) == sent
    assert [item["text"] for item in await daemon.api.history()] == ["hello"]
    assert (await daemon.api.health())["connector"]["kind"] == "memory"


async def test_events_come_as_a_live_stream(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    async with daemon.api.events(subscriber="mos", types="message") as stream:
        for text in ("one", "two"):
            await daemon.api.send(text)
        events = await stream.take(2)
    assert [event["text"] for event in events] == ["one", "two"]
    pending = await daemon.api.pending(subscriber="mos", types="message")
    assert [event["seq"] for event in pending] == [event["seq"] for event in events]
    await daemon.api.ack("mos", events[-1]["seq"])
    assert await daemon.api.pending(subscriber="mos", types="message") == []
    assert [who["name"] for who in await daemon.api.subscribers()] == ["mos"]


async def test_what_the_daemon_refuses_is_an_error_with_its_kind(daemon: Daemon) -> None:
    with pytest.raises(ApiError) as refused:
        await daemon.api.message("no-such-message")
    assert refused.value.status == 404
    assert (await daemon.api.request("POST", "/v1/messages", data=b"{")).status == 400


async def test_a_killed_daemon_comes_back_on_the_same_state(daemon: Daemon) -> None:
    sent = await daemon.api.send("kept", wait_s=10)
    first = daemon.pid
    await daemon.kill()
    assert daemon.returncode == -signal.SIGKILL
    with pytest.raises(aiohttp.ClientError):
        await daemon.api.health()
    await daemon.start()
    assert daemon.pid != first
    assert (await daemon.api.final(sent["id"]))["state"] == "delivered"


async def test_terminating_is_an_orderly_end(daemon: Daemon) -> None:
    assert await daemon.terminate() == 0
    assert not daemon.running


async def test_a_reload_reads_the_rewritten_roster(daemon: Daemon) -> None:
    daemon.reconfigure("memory", echo=True)
    assert (await daemon.api.reload()).status == 200
    daemon.reconfigure("memory", no_such_key=True)
    assert (await daemon.api.reload()).body["kind"] == "bad-roster"


async def test_a_daemon_that_ends_at_its_start_shows_its_log(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(no_such_key=True)
    with pytest.raises(AssertionError, match=r"(?s)ended at its start \(78\).*no_such_key"):
        await daemon.start()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_daemon_dies_at_the_chosen_call_and_lives_on_after_it(
    make_daemon: MakeDaemon, when: Literal["before", "after"]
) -> None:
    daemon = make_daemon()
    daemon.death = Death(when, SEND, 2)
    await daemon.start()
    assert (await daemon.api.send("first", wait_s=10))["state"] == "delivered"
    with suppress(aiohttp.ClientError):  # it may die before it has answered
        await daemon.api.send("second", key="second")
    assert await daemon.ended() == -signal.SIGKILL
    assert f"dying {when} {SEND} call 2" in daemon.log_text
    daemon.death = None
    await daemon.start()
    second = await daemon.api.send_surely("second", key="second")
    assert (await daemon.api.final(second["id"]))["state"] == "delivered"
    assert [item["text"] for item in await daemon.api.history()] == ["second", "first"]


async def test_nothing_of_the_tests_own_environment_reaches_the_daemon(
    make_daemon: MakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETCHATD_ROSTER", "/nowhere")
    daemon = make_daemon(env={"EXTRA": "given"})
    await daemon.start()
    raw = await asyncio.to_thread(Path(f"/proc/{daemon.pid}/environ").read_bytes)
    names = {line.partition(b"=")[0] for line in raw.split(b"\0") if line}
    assert os.fsencode("EXTRA") in names
    assert names <= {b"PATH", b"HOME", b"LANG", b"TMUX_TMPDIR", b"EXTRA"}
