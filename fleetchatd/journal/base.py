"""What the rest of the program knows of the journal, whatever engine keeps it.

Every method that writes gives a future that is done once the change is on disk (committed and
synced), in the order of the calls; nothing may be acted on or acknowledged before. A write fails
with `StorageFullError` or `JournalError`, and then nothing of it happened.

Reads see what is committed. They are small by construction (bounded in rows and bytes).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from fleetchatd.model import Batch, Draft, Filter, Message, State

T = TypeVar("T")
Done = Callable[[T | None, Exception | None], None]
"""Called on the loop with the result of a write that is on disk, or with what went wrong."""

REDACTED_TEXT = "[redacted]"
"""What stands in a redacted event, since `text` is never empty."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What came of `accept`.

    Attributes:
        message: the new message, or the one that has the key already.
        created: whether it is new.
        matches: False when the key belongs to a message with another body.
    """

    message: Message
    created: bool
    matches: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of encoded events.

    Attributes:
        lines: NDJSON lines, encoded, in the order of `seq`.
        last_seq: how far the stretch reaches, filtered events included; where to go on.
    """

    lines: bytes
    last_seq: int


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A durable subscriber's position.

    Attributes:
        lag: events after the position that match the filter it last read with.
        oldest_unacked_age_s: age of the first of them, None without one.
    """

    name: str
    acked_seq: int
    lag: int
    oldest_unacked_age_s: float | None


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """What is not delivered.

    `waiting` are those queued that only another target may send.
    """

    queued: int
    waiting: int
    failed: int
    oldest_age_s: float | None


class Journal(Protocol):
    """The one durable thing."""

    # -- outbound ---------------------------------------------------------------------------

    def accept(
        self,
        draft: Draft,
        *,
        key: str | None,
        target: str,
        parts: Sequence[str],
        mark: str | None,
        done: Done[Acceptance],
    ) -> None:
        """Take a message in; with `mark`, as one that is attempted as soon as this is on disk.

        `done` is called in the order of acceptance.
        """

    def begin_attempts(
        self, messages: Sequence[Message], mark: str
    ) -> asyncio.Future[Sequence[Message | None]]:
        """Note that the next part of each is about to be sent, with `mark` unless one stands.

        The messages' target and parts are written too: another target may have cut them anew.
        None in the place of one that is no longer to be sent (cancelled, or expired).
        """

    def requeue(self, message: Message, *, tried: bool) -> asyncio.Future[None]:
        """Note that nothing was sent since the intent was written, `tried` or not."""

    def part_sent(self, message: Message) -> asyncio.Future[None]:
        """Note the remote ids of the parts that are out while others are still to be sent."""

    def settle(
        self,
        message: Message,
        state: State,
        error: str | None,
        connector: str,
        *,
        lazy: bool,
        done: Done[Message],
    ) -> None:
        """Bring a message to a final state, with the `delivery` event that tells so.

        `done` gets None if it was final already: that was told before.

        With `lazy` nobody waits for it: it may share a commit with what comes within 20 ms. A
        crash before that repeats the part under its transaction id.
        """

    def cancel(self, message_id: str, connector: str) -> asyncio.Future[Message | None]:
        """Fail a message that is queued and not under way; None if it is not."""

    def retry(self, message_id: str) -> asyncio.Future[Message | None]:
        """Queue a failed message again; None if it is not failed."""

    def message(self, message_id: str) -> Message | None:
        """One message by id."""

    def pending(
        self, target: str, thread_id: str | None, after_order: int, limit: int
    ) -> Sequence[Message]:
        """Messages of a thread that `target` may send, in order."""

    def pending_threads(self, target: str) -> Sequence[str | None]:
        """The threads that have such messages."""

    def next_expiry(self) -> float | None:
        """The Unix time, in seconds, at which the next unsettled message expires."""

    def expired(self, now: float, limit: int) -> Sequence[Message]:
        """Unsettled messages whose time is over."""

    def outbox_counts(self, target: str) -> OutboxCounts:
        """Counts for health."""

    def history(
        self,
        *,
        limit: int,
        before: str | None,
        thread_id: str | None,
        direction: Literal["in", "out"] | None,
    ) -> Sequence[dict[str, object]] | None:
        """What was said, newest first; None if `before` is not known."""

    def is_sent(self, target: str, remote_id: str) -> bool:
        """Whether that is the chat's id of something that we sent there."""

    # -- inbound ----------------------------------------------------------------------------

    def commit(self, target: str, batch: Batch) -> asyncio.Future[None]:
        """Add events and the receive position of `target`, all or nothing.

        An event whose id `target` has given before is left out. A redaction takes the text of its
        target with it, and that of the target's edits.
        """

    def position(self, target: str) -> str | None:
        """The receive position that was last committed."""

    # -- subscribers ------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """The newest event's `seq`; 0 before the first."""

    def events_after(self, seq: int, wanted: Filter, max_bytes: int) -> Page:
        """Events after `seq`: at least one if there is any, and about `max_bytes` at most."""

    def changed(self) -> asyncio.Future[None]:
        """A future of the caller's own that is done at the next committed event."""

    def subscribe(self, name: str, wanted: Filter, *, from_start: bool) -> asyncio.Future[int]:
        """Note the filter of a durable subscriber, made if it is new; its acknowledged `seq`.

        A new one begins at the end or, with `from_start`, before the oldest event that is kept.
        """

    def acknowledge(self, name: str, seq: int) -> asyncio.Future[int | None]:
        """Move a position forward, never back; the position, or None for an unknown name."""

    def unsubscribe(self, name: str) -> asyncio.Future[bool]:
        """Forget a subscriber; whether there was one."""

    def subscribers(self) -> Sequence[Subscriber]:
        """All of them, by name."""

    def last_event_id(self, upto_seq: int, target: str) -> str | None:
        """The id of the newest message up to a `seq` that came from `target`."""

    # -- upkeep -----------------------------------------------------------------------------

    def prune(self, older_than: float, limit: int) -> asyncio.Future[int]:
        """Remove what is older than a Unix time and that nobody needs; how much it was."""

    @property
    def running(self) -> bool:
        """Whether what runs of it beside the event loop does; else nothing is ever committed."""

    @property
    def error(self) -> str | None:
        """Why writing fails at present, or None."""

    @property
    def size_bytes(self) -> int:
        """What it takes on the disk."""

    async def close(self) -> None:
        """Commit what is under way and let go."""
