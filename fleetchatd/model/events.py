"""What happened: every type of event, and the `Batch` in which a connector hands them over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from fleetchatd.model.health import ConnectorHealth
from fleetchatd.model.outbound import State

EventClass = Literal["terminal-log", "actionable", "human", "reaction"]
EVENT_CLASSES: tuple[EventClass, ...] = ("terminal-log", "actionable", "human", "reaction")
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
    """Whoever said something replaced its text."""

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
