"""The client and the real daemon, with the connector that needs no network and echoes."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest_asyncio

from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.waiting import eventually
from tests.unit.client.scripted import COMMAND, Result


@pytest_asyncio.fixture
async def echo(make_daemon: MakeDaemon) -> Daemon:
    made = make_daemon(echo=True)
    await made.start()
    return made


async def start(daemon: Daemon, *words: str) -> Process:
    command = [*COMMAND, "--socket", str(daemon.socket), *words]
    return await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)


async def run(daemon: Daemon, *words: str) -> Result:
    client = await start(daemon, *words)
    async with asyncio.timeout(30):
        out, err = await client.communicate()
    assert client.returncode is not None
    return Result(client.returncode, out.decode(), err.decode())


@asynccontextmanager
async def following(daemon: Daemon, *words: str) -> AsyncIterator[Process]:
    client = await start(daemon, "subscribe", "--name", "me", "--json", *words)

    async def connected() -> bool:
        return any(one["connected"] for one in await daemon.api.subscribers())

    await eventually("the subscriber connected", connected)
    try:
        yield client
    finally:
        if client.returncode is None:
            client.kill()
        await client.communicate()


async def next_text(client: Process) -> str:
    assert client.stdout is not None
    async with asyncio.timeout(20):
        return str(json.loads(await client.stdout.readline())["text"])


async def test_a_conversation(echo: Daemon) -> None:
    assert (await run(echo, "read", "--name", "me")).out == ""
    sent = await run(echo, "send", "--wait", "10", "ship\nit")
    assert (sent.code, sent.err) == (0, "")
    first = await run(echo, "read", "--name", "me", "--wait", "10")
    assert first.out.endswith("ship\\nit\n")
    assert (await run(echo, "read", "--name", "me")).out == ""
    assert "delivered" in (await run(echo, "show", sent.out.strip())).out
    assert len((await run(echo, "history")).out.splitlines()) == 2
    assert (await run(echo, "health")).out.startswith("ok  fleetchatd")


async def test_a_key_sends_once(echo: Daemon) -> None:
    first = await run(echo, "send", "--key", "k", "hi")
    assert await run(echo, "send", "--key", "k", "hi") == first
    other = await run(echo, "send", "--key", "k", "ho")
    assert (other.code, other.out) == (1, "")


async def test_limit_leaves_the_rest_for_the_next_time(echo: Daemon) -> None:
    await run(echo, "read", "--name", "me")
    for word in ("one", "two", "three"):
        await run(echo, "send", "--wait", "10", word)
    read = ("read", "--name", "me", "--wait", "10", "--limit")
    assert len((await run(echo, *read, "2")).out.splitlines()) == 2
    assert (await run(echo, *read, "2")).out.endswith("three\n")


async def test_a_subscriber_outlives_the_daemon_and_sees_everything_once(echo: Daemon) -> None:
    async with following(echo) as client:
        await run(echo, "send", "--wait", "10", "before")
        assert await next_text(client) == "before"
        for number in range(3):
            await echo.kill()
            await echo.start()
            await run(echo, "send", "--wait", "10", f"after {number}")
            assert await next_text(client) == f"after {number}"

        async def acknowledged() -> bool:
            return bool((await echo.api.subscribers())[0]["lag"] == 0)

        await eventually("all was acknowledged", acknowledged)


async def test_who_is_superseded_says_so_and_the_other_goes_on(echo: Daemon) -> None:
    async with following(echo) as first:
        busy = await run(echo, "subscribe", "--name", "me")
        assert busy.code == 1
        assert "--takeover" in busy.err
        async with following(echo, "--takeover") as second:
            _, err = await first.communicate()
            assert first.returncode == 1
            assert b"superseded" in err
            await run(echo, "send", "hi")
            assert await next_text(second) == "hi"


async def test_a_name_can_be_used_again_as_soon_as_its_client_was_killed(echo: Daemon) -> None:
    async with following(echo) as client:
        client.kill()
        assert (await run(echo, "read", "--name", "me")).code == 0


async def test_unsubscribing_ends_a_follower_and_the_name_stays_gone(echo: Daemon) -> None:
    async with following(echo) as client:
        assert (await run(echo, "unsubscribe", "me")).code == 0
        _, err = await client.communicate()
        assert client.returncode == 1
        assert b"was deleted" in err
    assert (await run(echo, "subscribers")).out == ""
    assert (await run(echo, "unsubscribe", "me")).code == 1


async def test_exec_gets_an_event_again_until_it_has_taken_it(echo: Daemon, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f"cat >> {seen}; test $(wc -l < {seen}) -ge 3"
    async with following(echo, "--exec", script):
        await run(echo, "send", "hi")

        async def acknowledged() -> bool:
            lines = seen.read_text().splitlines() if seen.exists() else []
            return len(lines) == 3 and (await echo.api.subscribers())[0]["lag"] == 0

        await eventually("it was acknowledged at the third run", acknowledged)
    assert len(set(seen.read_text().splitlines())) == 1


async def test_a_roster_with_errors_is_refused_by_file_and_line(echo: Daemon) -> None:
    assert (await run(echo, "reload")).code == 0
    echo.reconfigure("memory", ecko=True)
    refused = await run(echo, "reload")
    assert refused.code == 1
    assert "roster.yaml:" in refused.err
    assert (await run(echo, "health")).out.startswith("ok")


async def test_what_is_not_there_is_exit_1_with_a_reason(echo: Daemon) -> None:
    for words in (
        ["show", "nothing"],
        ["cancel", "nothing"],
        ["retry", "nothing"],
        ["ack", "nobody", "0"],
        ["history", "--before", "nothing"],
        ["read", "--name", "not a name"],
        ["read", "--name", "me", "--types", "nonsense"],
        ["send", ""],
    ):
        result = await run(echo, *words)
        assert (result.code, result.out) == (1, ""), words
        assert result.err.startswith("fleetchat: "), words
