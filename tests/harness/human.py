"""People of the tests: a scripted client of any homeserver."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from tests.harness import matrix_http
from tests.harness.matrix_http import Answer, path
from tests.harness.waiting import eventually

RawEvent = dict[str, Any]


@dataclass(frozen=True)
class Account:
    """A user with one login."""

    user_id: str
    password: str
    access_token: str = field(repr=False)
    device_id: str
    refresh_token: str | None = field(default=None, repr=False)
    expires_in_ms: int | None = None


class Human:
    """Somebody with an account who talks in a room.

    Holds no connection and belongs to no event loop: every call is a request of its own, so
    servers may die and come back between two calls.

    Attributes:
        room_id: the room that all calls mean; `create_room` and `join` set it.
    """

    def __init__(self, base_url: str, account: Account, room_id: str = "") -> None:
        self.base_url = base_url
        self.account = account
        self.room_id = room_id

    @property
    def user_id(self) -> str:
        return self.account.user_id

    def in_room(self, room_id: str) -> Self:
        """The same person, looking at another room."""
        return type(self)(self.base_url, self.account, room_id)

    # Requests

    async def ask(
        self,
        method: str,
        path_: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request with this account's token; any answer."""
        return await matrix_http.ask(
            self.base_url, method, path_, body, token=self.account.access_token, query=query
        )

    async def _demand(
        self,
        method: str,
        path_: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        return await matrix_http.demand(
            self.base_url, method, path_, body, token=self.account.access_token, query=query
        )

    # Rooms

    async def create_room(
        self,
        *,
        invite: Sequence[str] = (),
        preset: str = "private_chat",
        join_rule: str | None = None,
        history_visibility: str | None = None,
        encrypted: bool = False,
        alias: str | None = None,
        room_version: str | None = None,
        **more: Any,
    ) -> str:
        """Create a room and look at it; return its id."""
        state = list(more.pop("initial_state", []))
        if join_rule is not None:
            state.append(_state("m.room.join_rules", {"join_rule": join_rule}))
        if history_visibility is not None:
            content = {"history_visibility": history_visibility}
            state.append(_state("m.room.history_visibility", content))
        if encrypted:
            state.append(_state("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}))
        body = {"preset": preset, "invite": list(invite), "initial_state": state, **more}
        if alias is not None:
            body["room_alias_name"] = alias
        if room_version is not None:
            body["room_version"] = room_version
        answer = await self._demand("POST", path("createRoom"), body)
        self.room_id = answer["room_id"]
        return self.room_id

    async def join(self, room: str | None = None) -> str:
        """Join a room by id or alias, and look at it."""
        answer = await self._demand("POST", path("join", room or self.room_id), {})
        self.room_id = answer["room_id"]
        return self.room_id

    async def leave(self) -> None:
        await self._in_room("leave", {})

    async def invite(self, user_id: str) -> None:
        await self._in_room("invite", {"user_id": user_id})

    async def kick(self, user_id: str, reason: str = "") -> None:
        await self._in_room("kick", {"user_id": user_id, "reason": reason})

    async def ban(self, user_id: str, reason: str = "") -> None:
        await self._in_room("ban", {"user_id": user_id, "reason": reason})

    async def unban(self, user_id: str) -> None:
        await self._in_room("unban", {"user_id": user_id})

    async def upgrade_room(self, new_version: str = "11") -> str:
        """Replace the room; return the new one's id. This person goes on looking at the old."""
        answer = await self._in_room("upgrade", {"new_version": new_version})
        replacement: str = answer["replacement_room"]
        return replacement

    async def set_state(self, kind: str, content: RawEvent, state_key: str = "") -> str:
        where = path("rooms", self.room_id, "state", kind, state_key)
        return _event_id(await self._demand("PUT", where, content))

    async def state(self) -> list[RawEvent]:
        """The room's state, event by event."""
        events: list[RawEvent] = await self._demand("GET", path("rooms", self.room_id, "state"))
        return events

    async def _in_room(self, verb: str, body: RawEvent) -> Any:
        return await self._demand("POST", path("rooms", self.room_id, verb), body)

    # Talking

    async def say(
        self,
        text: str,
        *,
        thread: str | None = None,
        reply_to: str | None = None,
        msgtype: str = "m.text",
        **content: Any,
    ) -> str:
        """Say something; return the event's id. `content` is merged in."""
        body: RawEvent = {"msgtype": msgtype, "body": text} | _relation(thread, reply_to)
        return await self.send_raw("m.room.message", body | content)

    async def edit(self, event_id: str, text: str) -> str:
        content = {
            "msgtype": "m.text",
            "body": f"* {text}",
            "m.new_content": {"msgtype": "m.text", "body": text},
            "m.relates_to": {"rel_type": "m.replace", "event_id": event_id},
        }
        return await self.send_raw("m.room.message", content)

    async def react(self, event_id: str, key: str = "👍") -> str:
        relation = {"rel_type": "m.annotation", "event_id": event_id, "key": key}
        return await self.send_raw("m.reaction", {"m.relates_to": relation})

    async def redact(self, event_id: str, reason: str | None = None) -> str:
        where = path("rooms", self.room_id, "redact", event_id, secrets.token_hex(8))
        return _event_id(await self._demand("PUT", where, {"reason": reason} if reason else {}))

    async def send_raw(self, kind: str, content: object, *, txn: str | None = None) -> str:
        """Send any event; return its id."""
        where = path("rooms", self.room_id, "send", kind, txn or secrets.token_hex(8))
        return _event_id(await self._demand("PUT", where, content))

    # Listening

    async def history(self) -> list[RawEvent]:
        """Everything in the room that this person may see, oldest first."""
        events: list[RawEvent] = []
        query = {"dir": "f", "limit": "1000"}
        while True:
            page = await self._demand("GET", path("rooms", self.room_id, "messages"), query=query)
            events += page["chunk"]
            # Synapse leaves `end` out of the last page; others give it until an empty page.
            if "end" not in page or not page["chunk"]:
                return events
            query["from"] = page["end"]

    async def messages(self, sender: str | None = None) -> list[RawEvent]:
        """The `m.room.message` events of the whole history, oldest first."""
        return [
            event
            for event in await self.history()
            if event.get("type") == "m.room.message" and sender in (None, event.get("sender"))
        ]

    async def texts(self, sender: str | None = None) -> list[str]:
        """What was said, oldest first; a redacted message has no text and is left out."""
        said = (event["content"].get("body") for event in await self.messages(sender))
        return [text for text in said if text is not None]

    async def wait_for(
        self, predicate: Callable[[RawEvent], object], timeout_s: float = 20.0
    ) -> RawEvent:
        """Wait until some event of the room satisfies `predicate`; return the first that does."""

        async def probe() -> RawEvent | None:
            return next((event for event in await self.history() if predicate(event)), None)

        return await eventually("an event in the room", probe, timeout_s=timeout_s)

    async def hears(self, text: str, timeout_s: float = 20.0) -> RawEvent:
        """Wait until somebody has said exactly `text`; return that event."""
        return await self.wait_for(
            lambda event: (event.get("content") or {}).get("body") == text, timeout_s
        )

    # The account

    async def logout(self) -> None:
        """End this login for good (`soft_logout: false`)."""
        await self._demand("POST", path("logout"), {})

    async def set_display_name(self, name: str) -> None:
        where = path("profile", self.user_id, "displayname")
        await self._demand("PUT", where, {"displayname": name})


def _state(kind: str, content: RawEvent) -> RawEvent:
    return {"type": kind, "state_key": "", "content": content}


def _event_id(answer: Any) -> str:
    event_id: str = answer["event_id"]
    return event_id


def _relation(thread: str | None, reply_to: str | None) -> RawEvent:
    """The relation of a message: a thread with its fallback, a reply, or both."""
    relation: RawEvent = {}
    if thread is not None:
        relation = {"rel_type": "m.thread", "event_id": thread, "is_falling_back": not reply_to}
    if thread or reply_to:
        relation["m.in_reply_to"] = {"event_id": reply_to or thread}
    return {"m.relates_to": relation} if relation else {}
