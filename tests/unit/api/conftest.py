"""The API on a socket of its own, over a real journal, without a daemon around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_asyncio

from fleetchatd.api import listener
from fleetchatd.api.server import Server
from fleetchatd.api.service import Service
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import Batch, Event, MessageEvent
from fleetchatd.outbox import Outbox
from tests.harness.api import Api

TARGET = "memory"


@dataclass
class Running:
    """An API that runs, and what stands behind it.

    Attributes:
        health: what `GET /v1/health` is told.
        reload_error: what the next reload ends in.
    """

    path: Path
    journal: SqliteJournal
    api: Api
    health: dict[str, Any] = field(default_factory=lambda: {"status": "ok"})
    reload_error: Exception | None = None
    server: Server = field(init=False)

    async def happen(self, *events: Event) -> None:
        """Let this happen in the chat."""
        await self.journal.commit(TARGET, Batch(events))

    async def reload(self) -> None:
        if self.reload_error is not None:
            raise self.reload_error


def said(text: str, event_id: str) -> MessageEvent:
    return MessageEvent(
        time="2026-11-23T00:00:00.000Z",
        connector="memory",
        id=event_id,
        sender="ann",
        sender_name="Ann",
        text=text,
    )


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    journal = SqliteJournal(tmp_path / "journal.db")
    loop = asyncio.get_running_loop()

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return loop.create_task(work)

    path = tmp_path / "s.sock"
    made = Running(path, journal, Api(path))
    made.server = Server(
        Service(
            journal=journal,
            outbox=Outbox(journal, spawn),
            health=lambda: dict(made.health),
            metrics=lambda: b"",
            reload=made.reload,
            acknowledged=lambda name, seq: None,
        )
    )
    with listener.bind(str(path)) as socket:
        await made.server.start(socket)
        yield made
        await made.server.close(1.0)
    await journal.close()
