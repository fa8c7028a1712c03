"""One live stream a name: refused, taken over, freed by its client's death (contract §3)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness.api import ApiError
from tests.harness.daemon import Daemon
from tests.harness.echo import hear, pending, texts
from tests.harness.waiting import eventually

SUPERSEDED = {"type": "superseded"}


@pytest.fixture
def daemon(echoing: Daemon) -> Daemon:
    return echoing


async def test_a_second_stream_of_a_name_is_refused_while_the_first_lives(daemon: Daemon) -> None:
    async with daemon.api.events(subscriber="a") as first:
        for query in ({}, {"follow": False}, {"from_": "start"}):
            with pytest.raises(ApiError) as refused:
                async with daemon.api.events(subscriber="a", **query):
                    pass
            assert (refused.value.status, refused.value.kind) == (409, "subscriber-busy")
        (listed,) = (await daemon.api.health())["subscribers"]
        assert listed == {"name": "a", "connected": True, "lag": listed["lag"]}
        await daemon.api.send("still read")
        await first.until(lambda event: event.get("text") == "still read")


async def test_a_takeover_ends_the_first_with_a_last_line_and_loses_nothing(
    daemon: Daemon,
) -> None:
    async with daemon.api.events(subscriber="a", types="message") as first:
        await daemon.api.send("one")
        assert (await first.next())["text"] == "one"
        async with daemon.api.events(subscriber="a", types="message", takeover=True) as second:
            assert await first.next() == SUPERSEDED
            assert await first.next_or_end() is None
            assert (await second.next())["text"] == "one"
            await daemon.api.send("two")
            assert (await second.next())["text"] == "two"
        async with daemon.api.events(subscriber="b", takeover=True):
            pass  # nobody to take over from


async def test_of_many_takeovers_at_once_exactly_one_lives(daemon: Daemon) -> None:
    async def take_over() -> list[dict[str, Any]]:
        async with daemon.api.events(subscriber="a", types="message", takeover=True) as stream:
            return [event async for event in stream]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(take_over()) for _ in range(10)]

        async def nine_ended() -> bool:
            return sum(task.done() for task in tasks) == 9

        await eventually("nine ended", nine_ended)
        assert [one["connected"] for one in await daemon.api.subscribers()] == [True]
        await daemon.api.demand("DELETE", "/v1/subscribers/a")
    heard = sorted((task.result() for task in tasks), key=len)
    assert heard == [[], *([SUPERSEDED] for _ in range(9))]


@contextmanager
def reader_process(daemon: Daemon, name: str) -> Iterator[int]:
    """A client of another process, whose stream is open."""
    script = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(b'GET /v1/events?subscriber=%b HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'"
        " % sys.argv[2].encode())\n"
        "while s.recv(9999): print('read', flush=True)\n"
    )
    reading, writing = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", script, str(daemon.socket), name],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)],
    )
    os.close(writing)
    try:
        os.read(reading, 9)
        yield pid
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def test_a_name_is_free_as_soon_as_its_client_has_died(daemon: Daemon) -> None:
    with reader_process(daemon, "a"):
        assert (await daemon.api.subscribers())[0]["connected"]

    async def free() -> bool:
        return not (await daemon.api.subscribers())[0]["connected"]

    # A second, says the contract; what only a heartbeat or a write could tell takes far longer.
    await eventually("the name is free", free, timeout_s=5, pause_s=0.01)
    async with daemon.api.events(subscriber="a"):
        pass


async def test_a_stopped_client_that_does_not_read_can_be_taken_over(daemon: Daemon) -> None:
    with reader_process(daemon, "a") as pid:
        os.kill(pid, signal.SIGSTOP)
        for _ in range(20):
            await daemon.api.send("x" * 100_000)
        async with daemon.api.events(subscriber="a", types="message", takeover=True) as stream:
            assert len(texts(await stream.take(20))) == 20


async def test_deleting_a_connected_name_ends_its_stream_and_forgets_its_position(
    daemon: Daemon,
) -> None:
    async with daemon.api.events(subscriber="a", types="message") as stream:
        assert (await daemon.api.request("DELETE", "/v1/subscribers/a")).status == 204
        assert await stream.next_or_end(5) is None
    assert await daemon.api.subscribers() == []
    gone = await daemon.api.request("DELETE", "/v1/subscribers/a")
    assert (gone.status, gone.body["kind"]) == (404, "unknown-subscriber")
    await hear(daemon, "while it was forgotten")
    assert await pending(daemon, subscriber="a") == []
