from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, closing

import pytest

from tests.harness.ports import Port


async def test_a_port_is_its_servers_and_nobody_elses_while_that_is_away() -> None:
    with closing(Port()) as port, ExitStack() as others:
        for _ in range(2):
            server = await asyncio.start_server(hang_up, "127.0.0.1", port.number)
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            assert await reader.read() == b""
            writer.close()
            server.close()
            await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port.number)
        taken = [others.enter_context(socket.socket()) for _ in range(200)]
        for other in taken:
            other.bind(("127.0.0.1", 0))
        assert port.number not in {other.getsockname()[1] for other in taken}


def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
