"""A connector at work between a real journal and its people, over several lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson

from fleetchatd.connectors.base import Closes, Connector, Context, Marks
from fleetchatd.inbox import Inbox
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import (
    ConnectorHealth,
    Draft,
    Filter,
    Message,
    OutboundPart,
    Secret,
    SendResult,
)
from fleetchatd.outbox import Outbox
from fleetchatd.outbox.abilities import split
from tests.contract.drivers import Driver
from tests.harness.waiting import eventually


class Stage:
    """What the daemon puts around a connector, without the daemon.

    Attributes:
        connector: that of the present life.
        told: the health it had whenever it said that it had changed.
    """

    def __init__(self, driver: Driver, state_dir: Path) -> None:
        self.driver = driver
        self.journal = SqliteJournal(state_dir / "journal.db")
        self.outbox = Outbox(self.journal, self._spawn)
        self.told: list[ConnectorHealth] = []
        self.connector: Connector
        self._state_dir = state_dir
        self._tasks: set[asyncio.Task[None]] = set()
        self._receiver: asyncio.Task[None] | None = None
        self._messages = 0
        self.make()

    def make(self) -> Connector:
        """The connector of a new life; nothing of it runs yet."""
        self.connector = self.driver.connector(self._context())
        self.inbox = Inbox(self.journal, self.outbox, self.connector.target)
        return self.connector

    def _context(self) -> Context:
        def store(name: str, secret: Secret) -> None:
            raise AssertionError(f"nothing refreshed {name}")

        self.context = Context(
            orchestrator="mos",
            host="alpha",
            state_dir=self._state_dir,
            secret=self.driver.secret,
            store_secret=store,
            health_changed=self._health_changed,
            is_sent=lambda remote_id: self.journal.is_sent(self.connector.target, remote_id),
        )
        return self.context

    def _health_changed(self) -> None:
        self.told.append(self.connector.health())
        self.outbox.health_changed()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        return task

    # -- receiving

    def receive(self) -> None:
        self._receiver = self._spawn(self.connector.subscribe(self.inbox))

    async def receiving(self) -> None:
        """Receive, and wait until what is said would reach us."""
        self.receive()
        await self.until("receiving", lambda: self.connector.health().receiving)

    async def unsubscribe(self) -> None:
        """Cancel the receiver; it must have survived so far, and must end now."""
        assert self._receiver is not None
        assert not self._receiver.done(), "the receiver ended by itself"
        self._receiver.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([self._receiver])
        assert self._receiver.cancelled()
        self._receiver = None

    async def end_life(self) -> None:
        if self._receiver is not None:
            await self.unsubscribe()
        if isinstance(self.connector, Closes):
            await self.connector.close()

    async def next_life(self) -> None:
        """Another process takes over, with nothing but the journal."""
        await self.end_life()
        await self.inbox.until_idle()
        self.make()

    async def close(self) -> None:
        await self.end_life()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.journal.close()

    # -- sending

    def message(self, text: str, **draft: Any) -> Message:
        """A message as the journal would hold it, not taken in by any."""
        self._messages += 1
        wanted = Draft(text, **draft)
        return Message(
            id=f"m{self._messages}-{id(self):x}",
            order=self._messages,
            time="",
            draft=wanted,
            target=self.connector.target,
            parts=split(self.connector, wanted),
        )

    def part(self, text: str, **draft: Any) -> OutboundPart:
        return self.message(text, **draft).next_part(None)

    def mark(self) -> str:
        return self.connector.mark() if isinstance(self.connector, Marks) else ""

    async def send(self, part: OutboundPart) -> SendResult:
        async with asyncio.timeout(20):
            return await self.connector.send(part)

    async def say_back(self, text: str, **draft: Any) -> SendResult:
        """Send a message of one part."""
        return await self.send(self.part(text, **draft))

    # -- what came

    def events(self, *types: str) -> list[dict[str, Any]]:
        wanted = Filter(frozenset(types) if types else None)
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self.journal.events_after(after, wanted, 1 << 20)
            found += [orjson.loads(line) for line in page.lines.splitlines()]
            if page.last_seq <= after:
                return found
            after = page.last_seq

    def heard(self) -> list[str]:
        return [event["text"] for event in self.events("message")]

    async def until(self, what: str, condition: Callable[[], object]) -> None:
        async def probe() -> bool:
            return bool(condition())

        await eventually(what, probe, pause_s=0.01)

    async def until_heard(self, *texts: str) -> None:
        """Wait until the last of `texts` came; then exactly those came."""
        await self.until(f"{texts[-1]!r}", lambda: texts[-1] in self.heard())
        heard = self.heard()
        assert heard == list(texts), heard
