"""What a scripted Discord knows, and what happens in it. No I/O.

Every change is told as a dispatch (`World.happened`), which the gateway passes on to whoever may
see it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from tests.fakes.discord.refusals import Refusal, unknown
from tests.fakes.discord.things import (
    ADMINISTRATOR,
    HISTORY,
    ORDINARY,
    PUBLIC_THREAD,
    VIEW,
    Channel,
    Json,
    Member,
    Message,
    Role,
    User,
    now,
    snowflake,
)

Happened = Callable[[str, Json, Channel | None], None]


class World:
    """One guild: its people, channels, and all that was said.

    Attributes:
        happened: told of every dispatch, its data and the channel it belongs to.
        nonces: (author, nonce) to message, for as long as they are remembered.
    """

    def __init__(self) -> None:
        self.guild_id = snowflake()
        self.users: dict[str, User] = {}
        self.members: dict[str, Member] = {}
        self.roles = {self.guild_id: Role(self.guild_id, "@everyone", ORDINARY)}
        self.channels: dict[str, Channel] = {}
        self.nonces: dict[tuple[str, str], Message] = {}
        self.happened: Happened = lambda name, data, channel: None
        self.owner = self.add_user("owner")

    # People

    def add_user(self, name: str, *, bot: bool = False, display: str | None = None) -> User:
        """A new account that is a member of the guild."""
        user_id = snowflake()
        # Tokens of Discord's own shape: some clients look at it.
        head = base64.urlsafe_b64encode(user_id.encode()).decode().rstrip("=")
        token = f"{head}.{secrets.token_hex(3)}.{secrets.token_hex(19)}" if bot else ""
        user = self.users[user_id] = User(user_id, name, display, bot, token)
        self.members[user_id] = Member(user)
        return user

    def set_nick(self, user: User, nick: str | None) -> None:
        member = self.members[user.id]
        member.nick = nick
        data = member.json() | {"guild_id": self.guild_id}
        self.happened("GUILD_MEMBER_UPDATE", data, None)

    def bot_with(self, token: str) -> User | None:
        return next(
            (user for user in self.users.values() if user.bot and user.token == token), None
        )

    # Channels and what one may do there

    def add_channel(self, name: str = "fleet", *, closed: bool = True) -> Channel:
        """A text channel; a closed one is seen by those alone who are let in (`let_in`)."""
        channel = Channel(snowflake(), self.guild_id, name)
        if closed:
            channel.overwrites.append(_overwrite(self.guild_id, 0, deny=VIEW))
        self.channels[channel.id] = channel
        self.happened("CHANNEL_CREATE", channel.json(), channel)
        return channel

    def let_in(self, channel: Channel, user: User, allow: int = ORDINARY, deny: int = 0) -> None:
        """Say what a member may do in a channel."""
        self.overwrite(channel, user.id, 1, allow, deny)

    def overwrite(self, channel: Channel, id_: str, kind: int, allow: int, deny: int) -> None:
        channel.overwrites[:] = [entry for entry in channel.overwrites if entry["id"] != id_]
        if allow or deny:
            channel.overwrites.append(_overwrite(id_, kind, allow, deny))
        self.happened("CHANNEL_UPDATE", channel.json(), channel)

    def set_open(self, channel: Channel, *, to_all: bool) -> None:
        """Let @everyone view the channel, or not."""
        self.overwrite(channel, self.guild_id, 0, 0, 0 if to_all else VIEW)

    def remove(self, channel: Channel) -> None:
        """Delete a channel or thread with all that is in it."""
        del self.channels[channel.id]
        name = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
        self.happened(name, channel.json(), channel)

    def channel(self, channel_id: str) -> Channel:
        if channel_id not in self.channels:
            raise unknown("Channel")
        return self.channels[channel_id]

    def permissions(self, user: User, channel: Channel) -> int:
        """What a member may do in a channel, or in a thread's parent ("Permission Overwrites")."""
        member = self.members.get(user.id)
        if member is None:
            return 0
        if channel.is_thread:
            return self.permissions(user, self.channels[channel.parent_id or ""])
        if user.id == self.owner.id:
            return ~0
        held = [self.guild_id, *member.roles]
        granted = 0
        for role_id in held:
            granted |= self.roles[role_id].permissions
        if granted & ADMINISTRATOR:
            return ~0
        for group in ([self.guild_id], member.roles, [user.id]):
            entries = [entry for entry in channel.overwrites if entry["id"] in group]
            for entry in entries:
                granted &= ~int(entry["deny"])
            for entry in entries:
                granted |= int(entry["allow"])
        return granted if granted & VIEW else 0

    def may_see(self, user: User, channel: Channel) -> bool:
        return bool(self.permissions(user, channel) & VIEW)

    # Messages

    def say(self, channel: Channel, author: User, content: str, **more: Any) -> Message:
        """A new message; in an archived thread it opens that again."""
        if channel.archived:
            self.archive(channel, archived=False)
        nonce = more.pop("nonce", None)
        message = Message(
            id=snowflake(),
            channel_id=channel.id,
            author=author,
            content=content.strip(),
            timestamp=now(),
            nonce=nonce,
            **more,
        )
        self._keep(channel, message)
        return message

    def _keep(self, channel: Channel, message: Message) -> None:
        channel.messages[int(message.id)] = message
        channel.last_message_id = message.id
        data = self.told(message)
        if message.nonce is not None:
            data["nonce"] = message.nonce
        self.happened("MESSAGE_CREATE", data, channel)

    def told(self, message: Message) -> Json:
        """A message as the gateway tells it."""
        data = message.json() | {"guild_id": self.guild_id}
        member = self.members.get(message.author.id)
        if member is not None and message.webhook_id is None:
            data["member"] = member.json(with_user=False)
        return data

    def message(self, channel: Channel, message_id: str) -> Message:
        found = channel.messages.get(int(message_id)) if message_id.isdecimal() else None
        if found is None:
            raise unknown("Message")
        return found

    def find(self, message_id: str) -> tuple[Channel, Message]:
        """A message wherever it is."""
        for channel in self.channels.values():
            if int(message_id) in channel.messages:
                return channel, channel.messages[int(message_id)]
        raise unknown("Message")

    def edit(self, message: Message, content: str) -> None:
        message.content, message.edited_timestamp = content.strip(), now()
        self.happened("MESSAGE_UPDATE", self.told(message), self.channels[message.channel_id])

    def delete(self, message: Message) -> None:
        channel = self.channels[message.channel_id]
        del channel.messages[int(message.id)]
        data = {"id": message.id, "channel_id": channel.id, "guild_id": self.guild_id}
        self.happened("MESSAGE_DELETE", data, channel)

    def react(self, message: Message, user: User, emoji: Json) -> None:
        key = emoji["name"] if emoji["id"] is None else f"{emoji['name']}:{emoji['id']}"
        message.reactions.setdefault(key, []).append(user.id)
        data = {
            "user_id": user.id,
            "channel_id": message.channel_id,
            "message_id": message.id,
            "message_author_id": message.author.id,
            "guild_id": self.guild_id,
            "member": self.members[user.id].json(),
            "emoji": emoji,
            "burst": False,
            "type": 0,
        }
        self.happened("MESSAGE_REACTION_ADD", data, self.channels[message.channel_id])

    # Threads

    def open_thread(
        self,
        parent: Channel,
        owner: User,
        name: str,
        *,
        header: Message | None = None,
        kind: int = PUBLIC_THREAD,
    ) -> Channel:
        """A thread, from a message (then it has that message's id) or by itself."""
        if header is not None and header.id in self.channels:
            raise Refusal(400, 160004, "A thread has already been created for this message")
        thread_id = header.id if header is not None else snowflake()
        thread = Channel(thread_id, self.guild_id, name, kind, parent.id, owner_id=owner.id)
        thread.members.append(owner.id)
        self.channels[thread_id] = thread
        if header is not None:
            header.flags |= 1 << 5
            header.more["thread"] = thread.json()
        self.happened("THREAD_CREATE", thread.json() | {"newly_created": True}, thread)
        if header is not None:  # what opens it stands in it once more, as a message without words
            reference = {
                "channel_id": parent.id,
                "guild_id": self.guild_id,
                "message_id": header.id,
            }
            starter = Message(snowflake(), thread_id, owner, "", now(), 21, reference=reference)
            thread.messages[int(starter.id)] = starter
        return thread

    def archive(self, thread: Channel, *, archived: bool = True, locked: bool = False) -> None:
        thread.archived, thread.locked, thread.archive_timestamp = archived, locked, now()
        self.happened("THREAD_UPDATE", thread.json(), thread)

    def threads(self, *, archived: bool, parent: Channel | None = None) -> Iterator[Channel]:
        for channel in self.channels.values():
            right_place = parent is None or channel.parent_id == parent.id
            if channel.is_thread and channel.archived is archived and right_place:
                yield channel

    def readable(self, user: User, channel: Channel) -> list[Message]:
        """The history that a member may read, oldest first: none without the permission for it."""
        return channel.history() if self.permissions(user, channel) & HISTORY else []


def _overwrite(id_: str, kind: int, allow: int = 0, deny: int = 0) -> Json:
    return {"id": id_, "type": kind, "allow": str(allow), "deny": str(deny)}
