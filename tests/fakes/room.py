"""A room of the scripted homeserver: its events in order, and what people in it do. No I/O."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.world import Login, World

SERVER_NAME = "fleet.test"
RawEvent = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - reads as the outcome that it is
    """The homeserver refuses a request, in the protocol's own shape."""

    def __init__(self, status: int, errcode: str, error: str, **more: object) -> None:
        super().__init__(f"{status} {errcode} {error}")
        self.status = status
        self.body = {"errcode": errcode, "error": error, **more}


def forbidden(error: str) -> Refusal:
    return Refusal(403, "M_FORBIDDEN", error)


def not_found(error: str) -> Refusal:
    return Refusal(404, "M_NOT_FOUND", error)


@dataclass(frozen=True)
class Entry:
    """One event in a room's order. `event` is what clients get, which may be any JSON at all."""

    position: int
    event: Any
    by: Login | None = None
    txn: str | None = None

    def get(self, key: str) -> Any:
        return self.event.get(key) if isinstance(self.event, dict) else None

    @property
    def content(self) -> RawEvent:
        """The event's content; empty where a hostile event has none."""
        content = self.get("content")
        return content if isinstance(content, dict) else {}

    @property
    def is_state(self) -> bool:
        return isinstance(self.get("state_key"), str) and isinstance(self.get("type"), str)


class FakeRoom:
    """A room, and what people in it can be made to do.

    Attributes:
        entries: its events in order, each with its position in the stream.
        receipts: (position, user, receipt type, event id).
    """

    def __init__(self, world: World, room_id: str, version: str) -> None:
        self.room_id = room_id
        self.version = version
        self.entries: list[Entry] = []
        self.receipts: list[tuple[int, str, str, str]] = []
        self._world = world
        self._state_entries: list[Entry] = []  # so that a long history costs nothing

    # What is there

    @property
    def events(self) -> list[Any]:
        """Its events, oldest first, as clients get them."""
        return [entry.event for entry in self.entries]

    def texts(self, sender: str | None = None) -> list[str]:
        """What was said, oldest first."""
        return [
            entry.content["body"]
            for entry in self.entries
            if entry.get("type") == "m.room.message"
            and sender in (None, entry.get("sender"))
            and "body" in entry.content
        ]

    def state_at(self, position: int) -> dict[tuple[str, str], Entry]:
        """The state after everything up to `position`."""
        return {
            (entry.get("type"), entry.get("state_key")): entry
            for entry in self._state_entries
            if entry.position <= position
        }

    @property
    def state(self) -> dict[tuple[str, str], Entry]:
        return self.state_at(self._world.position)

    def membership(self, user_id: str, position: int | None = None) -> str | None:
        """Somebody's membership, now or after everything up to `position`."""
        entry = self.member_entry(user_id, position)
        return entry.content.get("membership") if entry else None

    def member_entry(self, user_id: str, position: int | None = None) -> Entry | None:
        """The event that says so."""
        for entry in reversed(self._state_entries):
            if (
                (position is None or entry.position <= position)
                and entry.get("type") == "m.room.member"
                and entry.get("state_key") == user_id
            ):
                return entry
        return None

    def between(self, after: int, until: int) -> list[Entry]:
        """The entries with `after` < position <= `until`, oldest first; cheap near the end."""
        found: list[Entry] = []
        for entry in reversed(self.entries):
            if entry.position <= after:
                break
            if entry.position <= until:
                found.append(entry)
        return found[::-1]

    def event(self, event_id: str) -> Any:
        for entry in self.entries:
            if entry.get("event_id") == event_id:
                return entry.event
        raise not_found("Event not found.")

    # What happens

    def send(
        self,
        sender: str,
        kind: str,
        content: RawEvent,
        *,
        state_key: str | None = None,
        by: Login | None = None,
        txn: str | None = None,
        **overrides: object,
    ) -> str:
        """Somebody sends any event; return its id. `overrides` replaces its outer keys."""
        event: RawEvent = {
            "content": content,
            "event_id": new_event_id(),
            "origin_server_ts": int(time.time() * 1000),
            "room_id": self.room_id,
            "sender": sender,
            "type": kind,
        }
        if state_key is not None:
            event["state_key"] = state_key
        event |= overrides
        self._append(event, by, txn)
        return str(event["event_id"])

    def inject(self, event: object) -> None:
        """Put any JSON at all into the room's order, as no honest server would."""
        self._append(event, None, None)

    def _append(self, event: object, by: Login | None, txn: str | None) -> None:
        entry = Entry(self._world.next_position(), event, by, txn)
        self.entries.append(entry)
        if entry.is_state:
            self._state_entries.append(entry)
        self._world.happened()

    def say(
        self,
        sender: str,
        text: str,
        *,
        thread: str | None = None,
        reply_to: str | None = None,
        **content: Any,
    ) -> str:
        """Somebody says something; return the event's id. `content` is merged in."""
        body: RawEvent = {"msgtype": "m.text", "body": text}
        if thread is not None or reply_to is not None:
            relation: RawEvent = {"m.in_reply_to": {"event_id": reply_to or thread}}
            if thread is not None:
                relation |= {"rel_type": "m.thread", "event_id": thread}
                relation["is_falling_back"] = reply_to is None
            body["m.relates_to"] = relation
        return self.send(sender, "m.room.message", body | content)

    def flood(self, sender: str, texts: Iterable[str]) -> list[str]:
        """Somebody says many things at once; return the ids."""
        return [self.say(sender, text) for text in texts]

    def redact(self, sender: str, event_id: str, reason: str | None = None, **sent: Any) -> str:
        """Take an event back: its content goes, and a redaction says so."""
        content = {"redacts": event_id} | ({"reason": reason} if reason else {})
        redaction_id = self.send(sender, "m.room.redaction", content, redacts=event_id, **sent)
        because = self.event(redaction_id)
        for index, entry in enumerate(self.entries):
            if entry.get("event_id") == event_id:
                unsigned = {"redacted_by": redaction_id, "redacted_because": because}
                gone = entry.event | {"content": {}, "unsigned": unsigned}
                self.entries[index] = replace(entry, event=gone)
        self._state_entries = [entry for entry in self.entries if entry.is_state]
        return redaction_id

    def set_state(
        self, kind: str, content: RawEvent, state_key: str = "", sender: str | None = None
    ) -> str:
        """Change the room's state, as its creator unless `sender` is given."""
        return self.send(sender or self.creator, kind, content, state_key=state_key)

    @property
    def creator(self) -> str:
        return str(self.state["m.room.create", ""].get("sender"))

    def set_membership(
        self, user_id: str, membership: str, by: str | None = None, reason: str | None = None
    ) -> str:
        content: RawEvent = {"membership": membership}
        if reason:
            content["reason"] = reason
        if membership in ("join", "invite"):
            content["displayname"] = self._world.display_name(user_id)
        return self.set_state("m.room.member", content, user_id, by or user_id)

    def invite(self, user_id: str, by: str | None = None) -> str:
        return self.set_membership(user_id, "invite", by or self.creator)

    def join(self, user_id: str) -> str:
        return self.set_membership(user_id, "join")

    def kick(self, user_id: str, reason: str | None = None, by: str | None = None) -> str:
        return self.set_membership(user_id, "leave", by or self.creator, reason)

    def ban(self, user_id: str, reason: str | None = None, by: str | None = None) -> str:
        return self.set_membership(user_id, "ban", by or self.creator, reason)

    def tombstone(self, replacement: str | None = None, body: str = "moved") -> str:
        """Replace the room; a replacement is only named, not made."""
        content = {"body": body, "replacement_room": replacement or new_room_id("12")}
        return self.set_state("m.room.tombstone", content)

    def receipt(self, user_id: str, kind: str, event_id: str) -> None:
        self.receipts.append((self._world.next_position(), user_id, kind, event_id))
        self._world.happened()


def new_event_id() -> str:
    return f"${secrets.token_urlsafe(32)}"


def new_room_id(version: str) -> str:
    return f"!{secrets.token_urlsafe(32)}" + ("" if version == "12" else f":{SERVER_NAME}")
