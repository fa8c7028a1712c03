"""Readers that do not read what they asked for."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.echo import texts
from tests.harness.waiting import eventually


@pytest.fixture
def daemon(echoing: Daemon) -> Daemon:
    return echoing


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def flood(daemon: Daemon, count: int, size: int) -> None:
    """So many large messages, each echoed, and all of them delivered on return."""
    async with daemon.api.events(types="message") as stream:
        slots = asyncio.Semaphore(8)

        async def send() -> None:
            async with slots:
                await daemon.api.send("x" * size)

        await asyncio.gather(*(send() for _ in range(count)))
        await stream.take(count)


@pytest.mark.parametrize(("count", "size"), [(600, 10_000), (12, 500_000)])
async def test_a_thousand_readers_that_never_read_cost_no_memory_and_hold_up_nobody(
    daemon: Daemon, count: int, size: int
) -> None:
    await flood(daemon, count, size)  # what the daemon needs for itself
    idle = resident_kib(daemon.pid)
    with ExitStack() as readers:
        for number in range(1000):
            reader = readers.enter_context(socket.socket(socket.AF_UNIX))
            reader.connect(str(daemon.socket))
            begin = b"after=0" if number % 2 else b"subscriber=s%d&from=start" % number
            reader.send(b"GET /v1/events?%b HTTP/1.1\r\nHost: x\r\n\r\n" % begin)

        async def connected() -> bool:
            listed = await daemon.api.subscribers()
            return [one["connected"] for one in listed].count(True) == 500

        await eventually("all readers", connected)
        begun = time.monotonic()
        await flood(daemon, count, size)
        await daemon.api.send("in between", wait_s=10)
        assert time.monotonic() - begun < 30
        # The memory connector keeps what it sent.
        own = 2 * count * size // 1024 + 4096
        assert resident_kib(daemon.pid) - idle < own + 30 * 1024
        begun = time.monotonic()
        assert await daemon.terminate() == 0
        assert time.monotonic() - begun < 15
    await daemon.start()
    assert len(await daemon.api.subscribers()) == 500


async def test_a_reader_that_comes_back_to_reading_gets_everything_whole_and_in_order(
    daemon: Daemon,
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(daemon.socket), limit=1024)
    writer.write(b"GET /v1/events?after=0&types=message HTTP/1.0\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    sizes = [10, 900_000, 100, 20_000, 30_000, 1, 16_384, 700_000, 5] * 2
    for number, size in enumerate(sizes):
        await daemon.api.send(f"{number}:" + "y" * size, wait_s=10)
    received = b""
    async with asyncio.timeout(30):
        while received.count(b"\n") < len(sizes):
            received += await reader.read(1 << 16)
    writer.close()
    lines = received.splitlines()
    assert [len(line) > size for line, size in zip(lines, sizes, strict=True)] == [True] * len(
        sizes
    )
    assert texts([json.loads(line) for line in lines]) == [
        f"{number}:" + "y" * size for number, size in enumerate(sizes)
    ]
