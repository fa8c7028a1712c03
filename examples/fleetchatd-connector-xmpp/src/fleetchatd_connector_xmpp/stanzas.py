"""What stands in a message of the room, and what may: functions of values, without I/O."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from fleetchatd.connectors import cuts
from fleetchatd.model import MessageEvent, rfc3339
from slixmpp import JID, InvalidJID, Message

from fleetchatd_connector_xmpp.settings import KIND

LONGEST_BYTES = 9000
"""Every server takes a stanza of 10,000 bytes (RFC 6120 §13.12); the rest is for what is around."""

_ITEM = "{http://jabber.org/protocol/muc#user}x/{http://jabber.org/protocol/muc#user}item"
_STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in the room's archive.

    Attributes:
        id: the archive's; `message_id` is the sender's own.
        sender: the bare address behind the nick; None if the room does not tell.
        time_s: Unix time in seconds, by the server's clock.
    """

    id: str
    message_id: str
    sender: str | None
    nick: str
    text: str
    thread_id: str | None
    reply_to: str | None
    time_s: float

    def event(self) -> MessageEvent:
        """What subscribers get."""
        assert self.sender is not None
        return MessageEvent(
            id=self.id,
            time=rfc3339(self.time_s),
            connector=KIND,
            sender=self.sender,
            sender_name=self.nick or self.sender,
            text=self.text,
            thread_id=self.thread_id,
            reply_to=self.reply_to,
        )


def read(result: Message) -> Entry | None:
    """A result of an archive query; None if it is no message with words in it."""
    found = result["mam_result"]
    message = found["forwarded"]["stanza"]
    if not isinstance(message, Message) or not message["body"]:
        return None
    return Entry(
        id=found["id"],
        message_id=message["id"],
        sender=_sender(message),
        nick=message["from"].resource,
        text=message["reply"].strip_fallback_content() or message["body"],
        thread_id=message["thread"] or None,
        reply_to=message["reply"]["id"] or None,
        time_s=found["forwarded"]["delay"]["stamp"].timestamp(),
    )


def _sender(message: Message) -> str | None:
    """Who the server says it was (XEP-0313 §6.1); where two are named, one is a lie."""
    items = message.xml.findall(_ITEM)
    try:
        return JID(items[0].get("jid", "")).bare or None if len(items) == 1 else None
    except InvalidJID:
        return None


def archive_id(message: Message, room: JID) -> str:
    """The id that `room` gave a message in its archive (XEP-0359 §3)."""
    marks = {mark.get("by"): mark.get("id", "") for mark in message.xml.iter(_STANZA_ID)}
    return marks[room.bare]


def sound(text: str) -> str:
    """`text` without what XML cannot carry: one such character would end the connection."""
    return _NO_XML.sub("\ufffd", text)


def split(text: str) -> Iterator[str]:
    """`text` in parts that fit a stanza, cut behind a line or a word where there is one."""
    first = 0
    while first < len(text):
        ends = range(first + 1, min(len(text), first + LONGEST_BYTES) + 1)
        end = first + bisect.bisect_right(
            ends, LONGEST_BYTES, key=lambda end: _size(text[first:end])
        )
        if end < len(text):
            near = (first + end) // 2
            better = (cuts.behind(text, separator, near, end) for separator in "\n ")
            end = next(filter(None, better), cuts.between_characters(text, near, end))
        yield text[first:end]
        first = end


def _size(text: str) -> int:
    return len(escape(text).encode())
