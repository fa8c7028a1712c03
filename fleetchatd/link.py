"""A connector at work: made from the roster, received from, sent through, let go of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from fleetchatd.connectors import registry
from fleetchatd.connectors.base import Closes, Connector, Context, MarksRead
from fleetchatd.inbox import Inbox
from fleetchatd.journal.base import Journal
from fleetchatd.logs import hide
from fleetchatd.model import ConnectorHealth, Secret
from fleetchatd.outbox import Outbox
from fleetchatd.roster import Roster
from fleetchatd.secrets import exchange, read_secret, store_login

DETACH_GRACE_S = 10.0
"""How long attempts under way may take to end when the connector is let go of, in seconds."""

COMMIT_GRACE_S = 2.0
"""How long what was received may take to be journalled then, in seconds."""

BROKEN_S = 1.0
"""How long a receiver that broke stays down at least, in seconds."""

CANCEL_AGAIN_S = 3.0
"""How soon a receiver that goes on although it was cancelled is cancelled again, in seconds."""

log = structlog.get_logger("fleetchatd.connector")

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Link:
    """The present connector, and all that is bound to it.

    Attributes:
        at_first: its health before it has tried anything.

    Raises:
        ConfigError: its settings or secrets do not do; nothing was opened.
        ConnectorNotImplementedError: there is no such connector here.
    """

    def __init__(
        self,
        roster: Roster,
        state_dir: Path,
        journal: Journal,
        outbox: Outbox,
        changed: Callable[[], None],
    ) -> None:
        self._state_dir = state_dir
        self._outbox = outbox
        self._changed = changed
        self._crash: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        self.secrets = {
            name: self._secret(name) for name in registry.secret_names(roster.connector_kind)
        }
        self.context = Context(
            orchestrator=roster.orchestrator.name,
            host=roster.host,
            state_dir=state_dir,
            secret=self._secret,
            store_secret=self._store_secret,
            exchange=partial(exchange, state_dir),
            health_changed=changed,
            tmux_socket_name=roster.tmux_socket_name,
            is_sent=lambda remote_id: journal.is_sent(self.connector.target, remote_id),
        )
        self.connector: Connector = registry.connector_class(roster.connector_kind).create(
            roster.connector_settings, self.context
        )
        self.at_first = self.connector.health()
        self.inbox = Inbox(journal, outbox, self.connector.target)

    def _secret(self, name: str) -> Secret:
        secret = read_secret(name, self._state_dir)
        for value in (secret.value, secret.refresh_token):
            if value:
                hide(value)
        return secret

    def _store_secret(self, name: str, secret: Secret) -> None:
        for value in (secret.value, secret.refresh_token):
            if value:
                hide(value)
        store_login(name, self._state_dir, secret)
        self.secrets[name] = secret

    def same_secrets(self) -> bool:
        """Whether the secrets are still those it works with.

        Raises:
            SecretError: one has gone, or became malformed.
        """
        return all(self._secret(name).value == had.value for name, had in self.secrets.items())

    def start(self, spawn: Spawn) -> None:
        """Send and receive from now on."""
        self._outbox.attach(self.connector, self.context.pauses)
        self._task = spawn(self._receive())

    async def _receive(self) -> None:
        """Keep the receiver going, whatever a chat makes it stumble over."""
        while True:
            try:
                await self.connector.subscribe(self.inbox)
                self._crash = "the receiver ended by itself"
            except Exception as error:
                log.exception("the receiver broke; starting it again")
                self._crash = f"the receiver broke: {type(error).__name__}; see the log"
            if self._ending:
                return
            self._changed()
            # Not cut short by what is sent meanwhile: it would break at every message.
            await self.context.pauses.wait(at_least_s=BROKEN_S)
            self._crash = None

    async def stop(self) -> None:
        """Receive and send no more; attempts under way may end."""
        if self._task is not None:
            await self._end(self._task)
            with contextlib.suppress(TimeoutError):  # what comes next begins after all of this
                async with asyncio.timeout(COMMIT_GRACE_S):
                    await self.inbox.until_idle()
        await self._outbox.detach(DETACH_GRACE_S)
        if isinstance(self.connector, Closes):
            try:
                await self.connector.close()
            except Exception:
                log.exception("the connector broke while it was let go of")

    async def _end(self, receiver: asyncio.Task[None]) -> None:
        """Cancel the receiver, as often as it takes: a connector may swallow a cancellation."""
        self._ending = True
        while not receiver.done():
            receiver.cancel()
            await asyncio.wait([receiver], timeout=CANCEL_AGAIN_S)

    def health(self) -> ConnectorHealth:
        """The connector's, unless its receiver broke."""
        health = self.connector.health()
        if self._crash is None:
            return health
        if health.status == "down":
            return replace(health, receiving=False)
        return replace(health, status="degraded", receiving=False, detail=self._crash)

    async def mark_read(self, event_id: str) -> None:
        """Show in the chat what was read, where the chat has such a thing."""
        if isinstance(self.connector, MarksRead):
            try:
                await self.connector.mark_read(event_id)
            except Exception:
                log.exception("the connector broke while it showed what was read")

    @property
    def counts(self) -> Mapping[str, int]:
        """What the connector counts by itself."""
        return self.context.counts
