"""The nouns of the program: frozen values, no I/O.

Outbound, a `Draft` becomes a `Message` (journalled, with an id) whose `OutboundPart`s a connector
sends. Inbound, a connector turns what its chat says into `Event`s, which get a `seq` when the
journal commits them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal

Format = Literal["markdown", "plain"]
EventClass = Literal["terminal-log", "actionable", "human", "reaction"]
HealthStatus = Literal["ok", "degraded", "down"]

EVENT_CLASSES: tuple[EventClass, ...] = ("terminal-log", "actionable", "human", "reaction")


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


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message. `url` is the chat's own address of it."""

    name: str
    mime: str | None
    size_bytes: int | None
    url: str

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "mime": self.mime,
            "size_bytes": self.size_bytes,
            "url": self.url,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; the journal gives it its `seq`.

    Attributes:
        time: RFC 3339 in UTC, for display only: the chat server's clock where it has one.
        connector: the kind it came through.
        id: the chat's id of it; what comes twice under one id is one event. None where the
            daemon itself is the source.
    """

    type: ClassVar[str]
    time: str
    connector: str
    id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that subscribers get, without its `seq` (contract §3)."""
        raise NotImplementedError

    def _head(self) -> dict[str, Any]:
        return {"type": self.type, "time": self.time, "connector": self.connector}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEvent(Event):
    """Somebody said something."""

    type: ClassVar[str] = "message"
    id: str
    sender: str
    sender_name: str
    text: str
    thread_id: str | None = None
    reply_to: str | None = None
    event_class: EventClass = "human"
    attachments: Sequence[Attachment] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "type": "message",
            "time": self.time,
            "connector": self.connector,
            "id": self.id,
            "sender": self.sender,
            "sender_name": self.sender_name,
            "text": self.text,
            "thread_id": self.thread_id,
            "reply_to": self.reply_to,
            "class": self.event_class,
            "attachments": [item.to_json() for item in self.attachments],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EditEvent(Event):
    """A message's text was replaced."""

    type: ClassVar[str] = "edit"
    id: str
    sender: str
    target: str
    text: str
    thread_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        return self._head() | {
            "id": self.id,
            "sender": self.sender,
            "target": self.target,
            "text": self.text,
            "thread_id": self.thread_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionEvent(Event):
    """An event was taken back; the journal forgets the text of `target` in the same commit.

    Attributes:
        welcome: whether the sender may speak. If not, it counts only if `target` was delivered.
    """

    type: ClassVar[str] = "redaction"
    id: str
    sender: str | None
    target: str
    welcome: bool = True

    def to_json(self) -> dict[str, Any]:
        return self._head() | {"id": self.id, "sender": self.sender, "target": self.target}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionEvent(Event):
    """Somebody reacted to an event with `key`, an emoji as a rule."""

    type: ClassVar[str] = "reaction"
    id: str
    sender: str
    target: str
    key: str

    def to_json(self) -> dict[str, Any]:
        return self._head() | {
            "id": self.id,
            "sender": self.sender,
            "target": self.target,
            "key": self.key,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent(Event):
    """An outbound message reached a final state. `id` is the message's own, and may come again."""

    type: ClassVar[str] = "delivery"
    state: State
    remote_id: str | None
    error: str | None

    def to_json(self) -> dict[str, Any]:
        return self._head() | {
            "id": self.id,
            "state": self.state.value,
            "remote_id": self.remote_id,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorEvent(Event):
    """The connector's health changed."""

    type: ClassVar[str] = "connector"
    health: ConnectorHealth

    def to_json(self) -> dict[str, Any]:
        return self._head() | {
            "status": self.health.status,
            "reachable": self.health.reachable,
            "authenticated": self.health.authenticated,
            "receiving": self.health.receiving,
            "detail": self.health.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GapEvent(Event):
    """Events are known to be missing that cannot be fetched."""

    type: ClassVar[str] = "gap"
    thread_id: str | None = None
    detail: str

    def to_json(self) -> dict[str, Any]:
        return self._head() | {"thread_id": self.thread_id, "detail": self.detail}


EVENT_TYPES: tuple[str, ...] = (
    "message",
    "edit",
    "redaction",
    "reaction",
    "delivery",
    "connector",
    "gap",
)


@dataclass(frozen=True, slots=True)
class ConnectorHealth:
    """What a connector can truthfully say of itself now.

    Attributes:
        status: `down` when a person must act, `degraded` while something is retried.
        reachable: the last request was answered.
        authenticated: the chat accepted our secret, and it is the configured account.
        receiving: what is said in the chat would reach us now.
        detail: one sentence, or None when all is well.
        last_receive: loop time, in seconds, of the last answer to the receiver; None before it.
    """

    status: HealthStatus
    reachable: bool
    authenticated: bool
    receiving: bool
    detail: str | None = None
    last_receive: float | None = None

    def same_as(self, other: ConnectorHealth) -> bool:
        """Whether nothing but an age differs."""
        return (
            self.status == other.status
            and self.reachable == other.reachable
            and self.authenticated == other.authenticated
            and self.receiving == other.receiving
            and self.detail == other.detail
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What a connector hands over at once; it is committed whole or not at all.

    Attributes:
        events: in the chat's order.
        position: where to go on receiving after this batch, opaque; None leaves it as it is.
        confirmations: (transaction id, remote id) of own messages seen in the chat.
    """

    events: Sequence[Event] = ()
    position: str | None = None
    confirmations: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events a reader wants; `None` stands for all.

    `classes` filters messages alone; other types pass.
    """

    types: frozenset[str] | None = None
    classes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret and what came with it.

    Attributes:
        value: the access token itself.
        refresh_token: for a successor, where the login gave one.
        device_id: the device the login made.
        expires_at: Unix time in seconds; None when it is not known.
        source: where it was found, for people.
        replaces: SHA-256 of the *configured* secret that it stands for, however many refreshes
            ago that was; None for a login of its own.
    """

    value: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    device_id: str | None = None
    expires_at: float | None = None
    source: str = ""
    replaces: str | None = field(default=None, repr=False)

    def refreshed(
        self, value: str, *, refresh_token: str | None = None, expires_at: float | None = None
    ) -> Secret:
        """Its successor, which outranks the configured secret that it came from.

        Args:
            value: the new access token.
            refresh_token: the new one; None keeps the old, as a server may (Matrix CS API §5.7).
            expires_at: Unix time in seconds, if known.
        """
        return replace(
            self,
            value=value,
            refresh_token=refresh_token or self.refresh_token,
            expires_at=expires_at,
        )


def rfc3339(unix_s: float) -> str:
    """A Unix time, in seconds, as the API writes it: `2026-11-22T13:00:00.123Z`."""
    try:
        milliseconds = int(unix_s * 1000)
        return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"
    except (ValueError, OverflowError, OSError):
        return f"{_second(0)}.000Z"


@functools.lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    """Formatting is slow, and most times are of the present second."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%dT%H:%M:%S}"


Settings = Mapping[str, Any]
