"""The Matrix connector alone, wired to a scripted homeserver: no daemon, no journal, no process."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.matrix.connector import MatrixConnector
from fleetchatd.connectors.matrix.content import TRANSACTION_KEY
from fleetchatd.connectors.pauses import Pauses
from fleetchatd.errors import SecretError
from fleetchatd.model import (
    Batch,
    ConnectorHealth,
    Draft,
    Event,
    Message,
    OutboundPart,
    RedactionEvent,
    Secret,
)
from tests.harness.rooms import Furnished
from tests.harness.waiting import eventually

_numbers = itertools.count(1)


class ShortPauses(Pauses):
    """The pauses of an impatient test; a server that asks for more gets it."""

    waits: list[float | None]

    def __init__(self) -> None:
        super().__init__()
        self.waits = []

    async def wait(self, at_least_s: float | None = None) -> None:
        self.failures += 1
        self.waits.append(at_least_s)
        await asyncio.sleep(max(0.02, at_least_s or 0))


class Journalled:
    """An inbox that keeps what is committed as the journal does: each id once."""

    def __init__(self, position: str | None = None) -> None:
        self.stored = position
        self.events: list[Event] = []
        self.batches: list[Batch] = []
        self.sent: set[str] = set()
        self.confirmed: dict[str, str] = {}

    async def position(self) -> str | None:
        return self.stored

    def commit(self, batch: Batch) -> asyncio.Future[None]:
        self.batches.append(batch)
        known = {event.id for event in self.events}
        for event in batch.events:
            if event.id is not None and event.id in known:
                continue
            if isinstance(event, RedactionEvent) and not (event.welcome or event.target in known):
                continue
            known.add(event.id)
            self.events.append(event)
        self.confirmed |= dict(batch.confirmations)
        self.stored = batch.position or self.stored
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_disk() -> None:
            if not done.done():  # whoever waited may have been cancelled
                done.set_result(None)

        asyncio.get_running_loop().call_soon(on_disk)
        return done

    @property
    def texts(self) -> list[str]:
        """What was said, and edits, oldest first."""
        return [text for event in self.events if (text := getattr(event, "text", None)) is not None]

    def of_type(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]


class Keyring:
    """Where the secret is kept; `store` may be made to fail."""

    def __init__(self, secret: Secret, name: str = "matrix_access_token") -> None:
        self.name = name
        self.secret: Secret | None = secret
        self.stored: list[Secret] = []
        self.broken = False

    def get(self, name: str) -> Secret:
        assert name == self.name
        if self.secret is None:
            raise SecretError("there is none")
        return self.secret

    def store(self, name: str, secret: Secret) -> None:
        assert name == self.name
        if self.broken:
            raise SecretError("no room")
        self.secret = secret
        self.stored.append(secret)


class Wired:
    """One connector in one scripted room.

    Args:
        settings: its block in the roster.
        keyring: has its secret.
        state_dir: where it may keep files.
        inbox: what an earlier life journalled.
        create: makes it.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        keyring: Keyring,
        state_dir: Path,
        inbox: Journalled | None = None,
        create: Callable[[Mapping[str, Any], Context], Any] = MatrixConnector.create,
    ) -> None:
        self.inbox = inbox or Journalled()
        self.keyring = keyring
        self.pauses = ShortPauses()
        self.told: list[ConnectorHealth] = []
        self.context = Context(
            orchestrator="mos",
            host="here",
            state_dir=state_dir,
            secret=keyring.get,
            store_secret=keyring.store,
            health_changed=lambda: self.told.append(self.connector.health()),
            pauses=self.pauses,
            is_sent=lambda remote_id: remote_id in self.inbox.sent,
        )
        self.connector: Any = create(settings, self.context)
        self.broke: BaseException | None = None

    @property
    def health(self) -> ConnectorHealth:
        health: ConnectorHealth = self.connector.health()
        return health

    async def until(
        self, predicate: Callable[[], object], what: str = "", timeout_s: float = 30.0
    ) -> None:
        async def probe() -> bool:
            if self.broke is not None:
                raise AssertionError("the receiver broke") from self.broke
            return bool(predicate())

        try:
            await eventually(what or "the condition", probe, timeout_s=timeout_s, pause_s=0.01)
        except AssertionError as error:
            texts = self.inbox.texts
            raise AssertionError(
                f"{str(error)[:300]}\n{self.health}\n{len(texts)} texts: {texts[:5]} … {texts[-5:]}"
            ) from None

    async def until_status(self, status: str) -> ConnectorHealth:
        await self.until(lambda: self.health.status == status, f"health {status}")
        return self.health

    async def until_said(self, *texts: str) -> None:
        """Wait until exactly these texts have arrived, in this order."""
        await self.until(lambda: self.inbox.texts == list(texts), f"{texts} heard")

    @asynccontextmanager
    async def receiving(self, status: str | None = "ok") -> AsyncIterator[Wired]:
        """Receive meanwhile, from the moment on that health has `status`."""
        task = asyncio.get_running_loop().create_task(self._run())
        try:
            if status is not None:
                await self.until_status(status)
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.connector.close()
        assert self.broke is None, self.broke

    async def _run(self) -> None:
        try:
            await self.connector.subscribe(self.inbox)
        except Exception as error:
            self.broke = error


def wire(room: Furnished, state_dir: Path, inbox: Journalled | None = None, **more: Any) -> Wired:
    """A connector that is the bot of a room; `more` goes into its settings."""
    bot = room.bot
    origin = hashlib.sha256(bot.access_token.encode()).hexdigest()
    secret = Secret(bot.access_token, refresh_token=bot.refresh_token, replaces=origin)
    return Wired(dict(room.settings) | more, Keyring(secret), state_dir, inbox)


def part(text: str, mark: str | None = None, **draft: Any) -> OutboundPart:
    """A message of one part; with `mark`, as one that may be out already."""
    number = next(_numbers)
    message = Message(
        id=f"m{number}",
        order=number,
        time="2026-11-23T00:00:00.000Z",
        draft=Draft(text, **draft),
        target="",
        parts=(text,),
    )
    return OutboundPart(message, 0, mark)


def again(first: OutboundPart, mark: str) -> OutboundPart:
    """The same part once more, after an attempt at `mark`."""
    return replace(first, earlier_attempt=mark)


def own_content(sent: OutboundPart) -> dict[str, Any]:
    """What the connector's own event of a part looks like, for a test that sends it instead."""
    content = {"msgtype": "m.text", "body": sent.text, "m.mentions": {}}
    return content | {TRANSACTION_KEY: sent.transaction_id}
