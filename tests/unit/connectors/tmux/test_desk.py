"""What consoles see of a running daemon."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd.connectors.tmux.desk import Desk
from fleetchatd.tmux.marks import Mark, parse, socket_path
from fleetchatd.tmux.spool import Spool
from tests.harness.waiting import eventually


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / ("deep" * 30))  # longer than a socket's path may be
    made.make()
    return made


@pytest_asyncio.fixture
async def desk(spool: Spool) -> AsyncIterator[Desk]:
    made = Desk(spool, lambda: None)
    made.open()
    yield made
    made.close()


async def connect(spool: Spool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    with socket_path(spool.folder) as path:
        return await asyncio.open_unix_connection(path)


async def until_connected(desk: Desk, number: int = 1) -> None:
    async def probe() -> bool:
        return len(desk._consoles) == number

    await eventually(f"{number} consoles connected", probe)


async def test_every_console_gets_every_mark(spool: Spool, desk: Desk) -> None:
    pairs = [await connect(spool) for _ in range(2)]
    await until_connected(desk, 2)
    desk.tell(Mark("kept", "a"))
    for reader, writer in pairs:
        assert parse(await reader.readline()) == Mark("kept", "a")
        writer.close()


async def test_a_console_that_comes_later_learns_what_was_taken(spool: Spool, desk: Desk) -> None:
    desk.tell(Mark("taken", "b"))
    reader, writer = await connect(spool)
    assert parse(await reader.readline()) == Mark("taken", "b")
    writer.close()


async def test_a_console_sees_the_end_of_the_daemon(spool: Spool, desk: Desk) -> None:
    reader, writer = await connect(spool)
    await until_connected(desk)
    desk.close()
    assert await reader.read() == b""
    writer.close()
    assert not (spool.folder / "socket").exists()


async def test_a_console_that_reads_nothing_is_let_go_of(spool: Spool, desk: Desk) -> None:
    _, writer = await connect(spool)
    await until_connected(desk)
    writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def gone() -> bool:
        for number in range(1000):
            desk.tell(Mark("kept", f"{number:017}"))
        return not desk._consoles

    await eventually("the console let go of", gone)
    writer.close()


async def test_the_socket_of_a_daemon_that_was_killed_is_replaced(spool: Spool, desk: Desk) -> None:
    successor = Desk(spool, lambda: None)
    successor.open()
    _, writer = await connect(spool)
    await until_connected(successor)
    writer.close()
    successor.close()


async def test_only_its_owner_may_connect(spool: Spool, desk: Desk) -> None:
    assert (spool.folder / "socket").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", [b"", b"x", b"[]", b"{}", b'{"kept": 1}', b'{"other": "a"}\n'])
def test_what_is_no_mark_is_none(line: bytes) -> None:
    assert parse(line) is None


async def test_a_console_that_comes_as_the_daemon_leaves_is_not_held(
    spool: Spool, desk: Desk
) -> None:
    with socket_path(spool.folder) as path, socket.socket(socket.AF_UNIX) as console:
        console.connect(path)
        desk.close()
        console.settimeout(5)
        with suppress(ConnectionResetError):
            assert console.recv(1) == b""
    assert not desk._consoles
