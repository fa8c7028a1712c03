from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from daemon import Daemon
from person import Person
from prosody import Prosody


@pytest.fixture
def closed() -> bool:
    """Whether the room is for members only."""
    return True


@pytest_asyncio.fixture
async def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> AsyncIterator[Prosody]:
    made = Prosody(tmp_path, closed=closed)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture
async def ann(server: Prosody) -> AsyncIterator[Person]:
    """The room is hers."""
    person = Person(server, "ann")
    await person.come()
    await person.let_in("mos", "bob")
    yield person
    await person.go()


@pytest_asyncio.fixture
async def make_daemon(tmp_path: Path, server: Prosody) -> AsyncIterator[Callable[..., Daemon]]:
    daemons = []

    def make(**settings: Any) -> Daemon:
        daemons.append(Daemon(tmp_path, server, **settings))
        return daemons[-1]

    yield make
    for daemon in daemons:
        await daemon.kill()
