"""A memory chat that a test can break in every way, and an outbox that sends through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.connectors.memory import MemoryConnector
from fleetchatd.errors import SendDeferred
from fleetchatd.journal.base import Acceptance
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import (
    ConnectorHealth,
    Draft,
    HealthStatus,
    Message,
    OutboundPart,
    Secret,
    SendResult,
    State,
)
from fleetchatd.outbox import Outbox
from tests.harness.waiting import eventually

Result = TypeVar("Result")


def context(state_dir: Path, changed: Callable[[], None] = lambda: None) -> Context:
    """What a connector without secrets gets."""

    def no_secret(name: str) -> Secret:
        raise AssertionError(name)

    def no_store(name: str, secret: Secret) -> None:
        raise AssertionError(name)

    return Context(
        orchestrator="mos",
        host="alpha",
        state_dir=state_dir,
        secret=no_secret,
        store_secret=no_store,
        health_changed=changed,
    )


class Chat(MemoryConnector):
    """The memory connector with every knob.

    Attributes:
        name: its target.
        longest: characters that fit a part.
        gate: sends wait here while it is not set.
        held: texts whose sends wait for an event of their own.
        faulty: texts whose next send fails.
        tried: the transaction id of every call of `send`, with whether it said that an earlier
            attempt was made.
        out: what `look_up` finds, by transaction id; None: it cannot tell now.
    """

    def __init__(self, context: Context, name: str = "chat") -> None:
        super().__init__(context, echo=False, delay_s=0)
        self.name = name
        self.longest = 1000
        self.gate = asyncio.Event()
        self.gate.set()
        self.held: dict[str, asyncio.Event] = {}
        self.faulty: dict[str, Exception] = {}
        self.tried: list[tuple[str, bool]] = []
        self.under_way = 0
        self.marks = 0
        self.reachable = True
        self.out: dict[str, str] | None = {}

    @property
    def target(self) -> str:
        return self.name

    def health(self) -> ConnectorHealth:
        status: HealthStatus = "ok" if self.reachable else "degraded"
        return replace(super().health(), status=status, reachable=self.reachable)

    async def send(self, part: OutboundPart) -> SendResult:
        self.tried.append((part.transaction_id, part.earlier_attempt is not None))
        self.under_way += 1
        try:
            await self.gate.wait()
            if part.text in self.held:
                await self.held[part.text].wait()
            if part.text in self.faulty:
                raise self.faulty.pop(part.text)
            return await super().send(part)
        finally:
            self.under_way -= 1

    def split(self, text: str, text_format: str) -> tuple[str, ...]:
        return tuple(
            text[start : start + self.longest] for start in range(0, len(text), self.longest)
        )

    def mark(self) -> str:
        self.marks += 1
        return f"{self.name}-{self.marks}"

    @property
    def texts(self) -> list[str]:
        """What people see."""
        return [part.text for part in self.sent]


class KnowingChat(Chat):
    """One that can look up what became of an attempt."""

    async def look_up(self, part: OutboundPart) -> SendResult | None:
        if self.out is None:
            raise SendDeferred("the server is away")
        remote = self.out.get(part.transaction_id)
        return None if remote is None else SendResult(remote)


class Office:
    """An outbox over a real journal, and the chats it is attached to one after another."""

    def __init__(self, journal: SqliteJournal, state_dir: Path) -> None:
        self.journal = journal
        self.state_dir = state_dir
        self.context = context(state_dir)
        self.chat = Chat(self.context)
        self.outbox = Outbox(journal, self.spawn, clock=journal.clock)
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        return task

    def attach(self, chat: Chat | None = None) -> Chat:
        self.chat = chat or self.chat
        self.outbox.attach(self.chat, self.context.pauses)
        return self.chat

    async def switch(self, chat: Chat) -> None:
        await self.outbox.detach(1.0)
        self.attach(chat)

    def reach(self, reachable: bool) -> None:
        """The way to the chat is there, or is gone."""
        self.chat.reachable = reachable
        self.outbox.health_changed()

    def meanwhile(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Begin something, to be met half-way."""
        return asyncio.get_running_loop().create_task(work)

    async def close(self) -> None:
        """Stop; whatever a task broke of is raised."""
        await self.outbox.detach(0.0)
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in ended:
            if isinstance(one, Exception):
                raise one

    # -- what clients do

    async def accept(self, text: str, *, key: str | None = None, **draft: Any) -> Acceptance:
        return await self.outbox.accept(Draft(text, **draft), key, watched=False)

    async def send(self, text: str, **draft: Any) -> Message:
        return (await self.accept(text, **draft)).message

    async def begun(self, text: str, **draft: Any) -> Message:
        """Send a message, and hold back its attempt at the chat's gate."""
        self.chat.gate.clear()
        message = await self.send(text, **draft)
        await self.until("under way", lambda: self.chat.under_way)
        return message

    def look(self, message: Message) -> Message:
        found = self.journal.message(message.id)
        assert found is not None
        return found

    async def final(self, message: Message) -> Message:
        async def probe() -> Message | None:
            found = self.look(message)
            return found if found.state.final else None

        return await eventually(f"{message.draft.text!r} final", probe, pause_s=0.01)

    async def state(self, message: Message, state: State) -> Message:
        async def probe() -> Message | None:
            found = self.look(message)
            return found if found.state is state else None

        return await eventually(f"{message.draft.text!r} {state}", probe, pause_s=0.01)

    async def until(self, what: str, condition: Callable[[], object]) -> None:
        async def probe() -> bool:
            return bool(condition())

        await eventually(what, probe, pause_s=0.005)


@asynccontextmanager
async def receiving(office: Office, inbox: Inbox) -> AsyncIterator[None]:
    """Let the office's chat hand over what is said."""
    task = office.spawn(office.chat.subscribe(inbox))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
