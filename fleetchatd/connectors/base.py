"""All that the rest of the program knows of a chat.

A connector is a class with `create`, `send`, `subscribe` and `health`. What its chat has beside
them stands behind the small optional protocols below; the core asks `isinstance`, never for a kind.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from fleetchatd.connectors.pauses import Pauses
from fleetchatd.model import Batch, ConnectorHealth, Format, OutboundPart, Secret, SendResult


class Inbox(Protocol):
    """Where a connector hands over what it received (inbox.py)."""

    async def position(self) -> str | None:
        """Where receiving stood when the last batch was committed; None on the first start."""

    def commit(self, batch: Batch) -> asyncio.Future[None]:
        """Journal `batch`; the future is done once it is on disk.

        Batches are committed in the order they are handed over. It never fails: while the journal
        cannot write, the batch waits and is tried again. A connector may receive further
        while it waits, but hands over little more until it is done.
        """


@dataclass(frozen=True, slots=True)
class Context:
    """What the daemon gives a connector to work with.

    Attributes:
        orchestrator: the orchestrator's name in the roster.
        host: the host part of its address on the tmux channel.
        state_dir: the daemon's state directory, mode 0700; the connector may keep files of its own
            in a folder named after its kind.
        tmux_socket_name: the fleet's own tmux server.
        secret: gives a secret by name (`matrix_access_token`); raises `SecretError`.
        store_secret: keeps a refreshed one, which from then on outranks the one it came from.
        exchange: held while a secret is exchanged for its successor, from reading to storing;
            other programs with the same secrets wait meanwhile.
        health_changed: to be called after every change of `health()`.
        pauses: the growing pauses between retries, shared by both directions: either one's success
            resets them.
        is_sent: whether the journal knows a message in the chat, by its id there, as one of ours.
        counts: named counters for `/v1/metrics`, `fleetchatd_NAME_total`.
    """

    orchestrator: str
    host: str
    state_dir: Path
    secret: Callable[[str], Secret]
    store_secret: Callable[[str, Secret], None]
    health_changed: Callable[[], None]
    tmux_socket_name: str = "mosaic-fleet"
    pauses: Pauses = field(default_factory=Pauses)
    is_sent: Callable[[str], bool] = lambda _: False
    counts: Counter[str] = field(default_factory=Counter)
    exchange: Callable[[], AbstractAsyncContextManager[None]] = nullcontext


class Connector(Protocol):
    """One chat, from the orchestrator's side."""

    kind: ClassVar[str]
    settings_schema: ClassVar[Mapping[str, Any]]
    """JSON schema (draft 2020-12) of its block in the roster."""
    secrets: ClassVar[Sequence[str]]
    """Names of the secrets it needs."""

    @classmethod
    def create(cls, settings: Mapping[str, Any], context: Context) -> Self:
        """Make one from its block in the roster, already checked against `settings_schema`.

        Opens no connection; raises `ConfigError` where the schema cannot say what is wrong.
        """

    @property
    def target(self) -> str:
        """The account and place it talks to. Threads, positions and attempts belong to it."""

    async def send(self, part: OutboundPart) -> SendResult:
        """Send one part and return the chat's acknowledgement.

        With `part.earlier_attempt` it may be out already. Cancelling leaves the outcome open.

        Raises:
            SendRefused: for good; the message is `failed`, those behind it go on.
            SendDeferred: certainly not sent; it is tried again.
            SendAmbiguous: perhaps sent; it is repeated under the same transaction id.
            SendUnknown: perhaps sent, and not to be repeated; the message is `unknown`.
        """

    async def subscribe(self, inbox: Inbox) -> None:
        """Receive until cancelled, surviving every outage; cancelling is unsubscribing."""

    def health(self) -> ConnectorHealth:
        """What it can truthfully say of itself now; costs nothing, asks nobody."""


@runtime_checkable
class Splits(Protocol):
    """A chat whose messages have a greatest size."""

    def split(self, text: str, text_format: Format) -> tuple[str, ...]:
        """`text` in parts that each fit the chat; losslessly, at least one."""


@runtime_checkable
class Marks(Protocol):
    """A chat where an attempt can be looked up later."""

    def mark(self) -> str:
        """What must be remembered of this moment to find out later whether an attempt arrived.

        It is committed before the attempt is made.
        """


@runtime_checkable
class LooksUp(Protocol):
    """A chat whose history tells whether an ambiguous part is out."""

    async def look_up(self, part: OutboundPart) -> SendResult | None:
        """The part's acknowledgement if it is out, None if it is certainly not.

        Raises:
            SendDeferred: cannot be told now.
            SendUnknown: can never be told.
        """


@runtime_checkable
class MarksRead(Protocol):
    """A chat that shows people what was read."""

    async def mark_read(self, event_id: str) -> None:
        """Show that everything up to the event `event_id` was read; best effort."""


@runtime_checkable
class Closes(Protocol):
    """A connector that holds something open."""

    async def close(self) -> None:
        """Let go of it; nothing is sent or received any more."""
