"""What is to be sent: a `Draft` becomes a `Message`, whose `OutboundPart`s a connector sends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

Format = Literal["markdown", "plain"]


class State(StrEnum):
    """Where an outbound message stands. The last three are final."""

    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether nothing will change any more without a person's `retry`."""
        return self in (State.DELIVERED, State.FAILED, State.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a client asked to send, checked and with its defaults filled in."""

    text: str
    thread_id: str | None = None
    reply_to: str | None = None
    format: Format = "markdown"
    notice: bool = False
    expires_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An accepted outbound message, as the journal holds it.

    Attributes:
        order: position in the order of acceptance; messages of one thread go out by it.
        target: the account and place its parts and its thread belong to (`Connector.target`).
        parts: its text, cut to what the chat carries; fixed when it is accepted.
        remote_ids: the chat's ids of the parts that are known to be out, in order.
        attempt: what the connector noted (`Marks.mark`) before the first attempt of the part that
            is next; None while that part certainly never left.
    """

    id: str
    order: int
    time: str
    draft: Draft
    target: str
    parts: tuple[str, ...]
    state: State = State.QUEUED
    error: str | None = None
    remote_ids: tuple[str, ...] = ()
    attempt: str | None = None
    attempts: int = 0
    expires_at: float | None = None

    @property
    def remote_id(self) -> str | None:
        """The first part's id in the chat."""
        return self.remote_ids[0] if self.remote_ids else None

    @property
    def portable(self) -> bool:
        """Whether another connector may send it: nothing ties it to the present one."""
        return (
            self.attempt is None
            and not self.remote_ids
            and self.draft.thread_id is None
            and self.draft.reply_to is None
        )

    def next_part(self, earlier_attempt: str | None) -> OutboundPart:
        """The part whose turn it is."""
        return OutboundPart(self, len(self.remote_ids), earlier_attempt)

    def with_remote_id(self, remote_id: str) -> Message:
        """The same message with one more part known to be out."""
        return replace(self, remote_ids=(*self.remote_ids, remote_id), attempt=None)

    def to_json(self) -> dict[str, Any]:
        """The object that the socket API shows (contract §3)."""
        return {
            "id": self.id,
            "direction": "out",
            "time": self.time,
            "sender": None,
            "text": self.draft.text,
            "thread_id": self.draft.thread_id,
            "reply_to": self.draft.reply_to,
            "format": self.draft.format,
            "notice": self.draft.notice,
            "state": self.state.value,
            "remote_id": self.remote_id,
            "remote_ids": list(self.remote_ids),
            "attempts": self.attempts,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class OutboundPart:
    """One part of a message, as a connector gets it to send.

    Attributes:
        earlier_attempt: what `Marks.mark` gave before the first attempt, perhaps by an earlier
            process, if one was made whose outcome is not known: the part may be out already.
    """

    message: Message
    index: int
    earlier_attempt: str | None = None

    @property
    def text(self) -> str:
        """The part's own text."""
        return self.message.parts[self.index]

    @property
    def text_before(self) -> str:
        """All that stands before it in the message (a code fence may be open there)."""
        return "".join(self.message.parts[: self.index])

    @property
    def transaction_id(self) -> str:
        """The id that every attempt of this part carries: globally unique, kept over restarts."""
        return self.message.id if self.index == 0 else f"{self.message.id}.{self.index}"


@dataclass(frozen=True, slots=True)
class SendResult:
    """The chat's acknowledgement of one part."""

    remote_id: str
