"""The one gate for all that is said, whether it comes live, replayed or out of the history."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog

from fleetchatd.connectors.discord.events import (
    NO_WORDS,
    SPOKEN,
    author_of,
    edit_event,
    message_event,
)
from fleetchatd.connectors.discord.place import Place
from fleetchatd.connectors.discord.raw import id_of
from fleetchatd.connectors.untrusted import mapping_of, text_of
from fleetchatd.model import EditEvent, MessageEvent

REFUSED = 4096
"""So many refused events are remembered: what comes twice is counted once."""

log = structlog.get_logger("fleetchatd.connector")


class Own(NamedTuple):
    """A message of our own, seen in the chat."""

    message_id: str
    nonce: str | None


@dataclass(slots=True)
class Gate:
    """Judges by the channel as it is now.

    Attributes:
        me: our own id.
        allowed: who may speak; None: whoever sees a closed channel.
        place: the channel.
        threads: ids of its threads.
        counts: gets `refused_senders`.
        nicks: what people are called in the guild, by id; empty for those without such a name.
        wordless: the last message came without anything to show.
    """

    me: str
    allowed: Set[str] | None
    counts: Counter[str]
    place: Place
    threads: set[str] = field(default_factory=set)
    nicks: dict[str, str] = field(default_factory=dict)
    wordless: bool = False
    _refused: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def knows(self, place_id: str | None) -> bool:
        """Whether that is our channel or one of its threads."""
        return place_id == self.place.channel_id or place_id in self.threads

    def thread_of(self, place_id: object) -> str | None:
        """The thread that a place is; None for the channel itself."""
        found = id_of(place_id)
        return None if found == self.place.channel_id else found

    def message(self, raw: Mapping[Any, Any], place_id: str) -> MessageEvent | Own | None:
        """What becomes of a message that was said in `place_id`; None: it goes no further."""
        message_id, author = id_of(raw.get("id")), author_of(raw)
        if message_id is None or author is None or not self.knows(place_id):
            return None
        self.learn_nick(author, raw.get("member"))
        if author == self.me:
            return Own(message_id, text_of(raw.get("nonce")) or None)
        if raw.get("type", 0) not in SPOKEN:
            return None
        if not self._may_write(raw, author):
            self._refuse(message_id, author)
            return None
        event = message_event(raw, self.thread_of(place_id), self.nicks.get(author))
        self.wordless = event is not None and event.text == NO_WORDS
        return event

    def edit(self, raw: Mapping[Any, Any], place_id: str) -> EditEvent | None:
        """What becomes of a changed message."""
        author = author_of(raw)
        if author in (None, self.me) or raw.get("type", 0) not in SPOKEN:
            return None
        if not self.knows(place_id):
            return None
        edit = edit_event(raw, self.thread_of(place_id))
        if edit is not None and not self._may_write(raw, edit.sender):
            self._refuse(edit.id, edit.sender)
            return None
        return edit

    def may_react(self, data: Mapping[Any, Any], event_id: str) -> bool:
        """Whether somebody's reaction is to be told."""
        sender = id_of(data.get("user_id"))
        if sender is None or sender == self.me or not self.knows(id_of(data.get("channel_id"))):
            return False
        bot = mapping_of(mapping_of(data.get("member")).get("user")).get("bot") is True
        if not self._may_speak(sender, bot=bot):
            self._refuse(event_id, sender)
            return False
        return True

    def learn_nick(self, user_id: str, member: object) -> None:
        """Note what somebody is called in the guild, as a message or an answer tells."""
        if isinstance(member, dict):
            self.nicks[user_id] = text_of(member.get("nick"))

    def _may_write(self, raw: Mapping[Any, Any], author: str) -> bool:
        if raw.get("webhook_id") is not None:  # it may call itself whatever it likes
            return False
        return self._may_speak(author, bot=mapping_of(raw.get("author")).get("bot") is True)

    def _may_speak(self, sender: str, *, bot: bool) -> bool:
        if self.allowed is not None:
            return sender in self.allowed
        return not self.place.open and not bot

    def _refuse(self, event_id: str, sender: str) -> None:
        if event_id in self._refused:
            return
        self._refused[event_id] = None
        if len(self._refused) > REFUSED:
            self._refused.popitem(last=False)
        self.counts["refused_senders"] += 1
        log.info("an event was refused: its sender may not speak", sender=sender)
