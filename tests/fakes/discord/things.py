"""What a scripted Discord consists of: users, members, roles, channels, messages. No I/O."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

EPOCH_MS = 1_420_070_400_000

Json = dict[str, Any]

TEXT, PUBLIC_THREAD, PRIVATE_THREAD = 0, 11, 12
THREADS = (10, PUBLIC_THREAD, PRIVATE_THREAD)

VIEW, SEND, HISTORY = 1 << 10, 1 << 11, 1 << 16
MANAGE_THREADS, OPEN_THREADS, SEND_IN_THREADS = 1 << 34, 1 << 35, 1 << 38
ADMINISTRATOR, REACT = 1 << 3, 1 << 6
ORDINARY = VIEW | SEND | HISTORY | OPEN_THREADS | SEND_IN_THREADS | REACT

_increments = itertools.count()


def snowflake() -> str:
    """The next id ("Snowflakes"): by time, and never the same or smaller."""
    milliseconds = int(time.time() * 1000) - EPOCH_MS
    return str((milliseconds << 22) + next(_increments))


def now() -> str:
    return datetime.now(UTC).isoformat()


@dataclass
class User:
    """An account; a bot has a token."""

    id: str
    username: str
    global_name: str | None = None
    bot: bool = False
    token: str = ""

    def json(self) -> Json:
        body: Json = {
            "id": self.id,
            "username": self.username,
            "discriminator": "0",
            "global_name": self.global_name,
            "avatar": None,
            "public_flags": 0,
            "flags": 0,
        }
        return body | ({"bot": True} if self.bot else {})


@dataclass
class Member:
    """A user in the guild."""

    user: User
    nick: str | None = None
    roles: list[str] = field(default_factory=list)
    joined_at: str = field(default_factory=now)

    def json(self, *, with_user: bool = True) -> Json:
        body: Json = {
            "nick": self.nick,
            "avatar": None,
            "roles": list(self.roles),
            "joined_at": self.joined_at,
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
            "communication_disabled_until": None,
        }
        return body | ({"user": self.user.json()} if with_user else {})


@dataclass
class Role:
    """A role; that with the guild's own id is @everyone."""

    id: str
    name: str
    permissions: int

    def json(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "permissions": str(self.permissions),
            "position": 0,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "flags": 0,
        }


@dataclass
class Message:
    """One message, as the server keeps it."""

    id: str
    channel_id: str
    author: User
    content: str
    timestamp: str
    type: int = 0
    edited_timestamp: str | None = None
    webhook_id: str | None = None
    reference: Json | None = None
    nonce: str | int | None = None
    flags: int = 0
    attachments: list[Json] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    more: Json = field(default_factory=dict)

    def json(self) -> Json:
        """As history gives it: without the nonce."""
        body: Json = {
            "id": self.id,
            "channel_id": self.channel_id,
            "author": self.author.json(),
            "content": self.content,
            "timestamp": self.timestamp,
            "edited_timestamp": self.edited_timestamp,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": self.attachments,
            "embeds": [],
            "components": [],
            "pinned": False,
            "flags": self.flags,
            "type": self.type,
        }
        if self.reference is not None:
            body["message_reference"] = self.reference
        if self.webhook_id is not None:
            body["webhook_id"] = self.webhook_id
        return body | self.more


@dataclass
class Channel:
    """A text channel, or a thread in one."""

    id: str
    guild_id: str
    name: str
    type: int = TEXT
    parent_id: str | None = None
    overwrites: list[Json] = field(default_factory=list)
    messages: dict[int, Message] = field(default_factory=dict)
    last_message_id: str | None = None
    owner_id: str | None = None
    archived: bool = False
    locked: bool = False
    archive_timestamp: str = field(default_factory=now)
    members: list[str] = field(default_factory=list)

    @property
    def is_thread(self) -> bool:
        return self.type in THREADS

    def json(self) -> Json:
        body: Json = {
            "id": self.id,
            "guild_id": self.guild_id,
            "name": self.name,
            "type": self.type,
            "parent_id": self.parent_id,
            "last_message_id": self.last_message_id,
            "rate_limit_per_user": 0,
            "flags": 0,
        }
        if not self.is_thread:
            place = {"topic": None, "nsfw": False, "position": 0, "last_pin_timestamp": None}
            return body | place | {"permission_overwrites": self.overwrites}
        return body | {
            "owner_id": self.owner_id,
            "message_count": len(self.messages),
            "member_count": len(self.members),
            "total_message_sent": len(self.messages),
            "thread_metadata": {
                "archived": self.archived,
                "auto_archive_duration": 1440,
                "archive_timestamp": self.archive_timestamp,
                "locked": self.locked,
                "create_timestamp": self.archive_timestamp,
            },
        }

    def history(self) -> list[Message]:
        """Oldest first."""
        return [self.messages[number] for number in sorted(self.messages)]
