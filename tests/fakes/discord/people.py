"""People of the scripted Discord: what somebody does there, at once and by nobody's leave."""

from __future__ import annotations

from typing import Any

from tests.fakes.discord.things import PUBLIC_THREAD, Channel, Message, User
from tests.fakes.discord.world import World


class Person:
    """Somebody who talks in a channel. The server may be down: people have other ways to it."""

    def __init__(self, world: World, user: User, channel: Channel) -> None:
        self.world = world
        self.user = user
        self.channel = channel

    @property
    def user_id(self) -> str:
        return self.user.id

    def say(
        self, text: str, *, thread: str | None = None, reply_to: str | None = None, **more: Any
    ) -> str:
        """Say something; the message's id.

        Args:
            text: what.
            thread: a thread's id, or a message's, on which one is opened if there is none yet.
            reply_to: a message's id.
            more: further fields of the message.
        """
        place = self.channel if thread is None else self._thread(thread)
        if reply_to is not None:
            reference = {"type": 0, "channel_id": place.id, "message_id": reply_to}
            more |= {"type": 19, "reference": reference | {"guild_id": self.world.guild_id}}
        return self.world.say(place, self.user, text, **more).id

    def _thread(self, thread: str) -> Channel:
        if thread not in self.world.channels:
            self.open_thread(thread)
        return self.world.channels[thread]

    def open_thread(
        self, header: str | None = None, name: str = "a thread", kind: int = PUBLIC_THREAD
    ) -> Channel:
        """Open a thread, on a message or by itself."""
        message = None if header is None else self.world.message(self.channel, header)
        return self.world.open_thread(self.channel, self.user, name, header=message, kind=kind)

    def archive(self, thread: str) -> None:
        self.world.archive(self.world.channels[thread])

    def edit(self, message_id: str, text: str) -> Message:
        _, message = self.world.find(message_id)
        self.world.edit(message, text)
        return message

    def react(self, message_id: str, key: str = "👍") -> None:
        _, message = self.world.find(message_id)
        self.world.react(message, self.user, {"id": None, "name": key})

    def delete(self, message_id: str) -> None:
        _, message = self.world.find(message_id)
        self.world.delete(message)
