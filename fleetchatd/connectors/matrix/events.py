"""What other people's events in a Matrix room say, as the program's own events.

Servers let malformed events through, so no type is trusted: whatever comes, the answer is a sound
event or None. Client-server API: "Room event format", "m.room.message msgtypes", "Forming
relationships between events".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from fleetchatd.connectors.matrix.content import TRANSACTION_KEY
from fleetchatd.connectors.untrusted import mapping_of, text_of
from fleetchatd.model import (
    Attachment,
    EditEvent,
    Event,
    MessageEvent,
    ReactionEvent,
    RedactionEvent,
    rfc3339_of_ms,
)

KIND: Final = "matrix"

_FILES = frozenset({"m.image", "m.file", "m.audio", "m.video"})
_POLLS = frozenset({"m.poll.start", "org.matrix.msc3381.poll.start"})
_LATEST_MS = 253_402_300_799_999  # the end of the year 9999
_GREATEST_SIZE = 2**53 - 1  # of an integer in canonical JSON
_NOTHING: Mapping[Any, Any] = MappingProxyType({})

# "> <@ann:example.org> her words", then a blank line. Clients stopped sending it with v1.13 of the
# specification ("Fallbacks for rich replies" until then), and old ones still do.
_QUOTED = re.compile(r"> (?:\* )?<@[^>\n]+>[^\n]*(?:\n>[^\n]*)*\n{0,2}")


def parse_event(raw: object, names: Mapping[str, str] = _NOTHING) -> Event | None:
    """The event that a subscriber gets for one of a timeline; None if it says nothing to people.

    Args:
        raw: one item of a timeline, from `/sync` or `/messages`.
        names: what the room's members call themselves, by user id.
    """
    if not isinstance(raw, dict) or "state_key" in raw:
        return None
    head = {
        "time": time_of(raw.get("origin_server_ts")),
        "connector": KIND,
        "id": text_of(raw.get("event_id")),
        "sender": text_of(raw.get("sender")),
    }
    kind = raw.get("type")
    if not isinstance(kind, str) or not head["id"] or not head["sender"]:
        return None
    content = mapping_of(raw.get("content"))
    if kind == "m.room.redaction":
        return _redaction(head, raw, content)
    if "redacted_because" in mapping_of(raw.get("unsigned")):
        return None
    relation = mapping_of(content.get("m.relates_to"))
    if kind == "m.reaction":
        return _reaction(head, relation)
    name = names.get(head["sender"]) or head["sender"]
    if relation.get("rel_type") == "m.replace" and text_of(relation.get("event_id")):
        return _edit(head, kind, content, relation, name)
    return _message(head, kind, content, relation, name)


def is_encrypted(raw: object) -> bool:
    """Whether an event's words cannot be read here."""
    return isinstance(raw, dict) and raw.get("type") == "m.room.encrypted"


def own_transaction(raw: object) -> str | None:
    """The transaction id under which our own account sent an event; None if nothing tells it.

    The server tells it to the login that sent it, and to that one alone; the content to all.
    """
    if not isinstance(raw, dict):
        return None
    told = text_of(mapping_of(raw.get("unsigned")).get("transaction_id"))
    return told or text_of(mapping_of(raw.get("content")).get(TRANSACTION_KEY)) or None


def id_of(value: object) -> str | None:
    """`value` if it is a string that can be given back as it came: an id or a token."""
    return value if isinstance(value, str) and value and text_of(value) == value else None


def time_of(value: object) -> str:
    """An `origin_server_ts` as the API writes times; the beginning of 1970 for what is none."""
    if type(value) is int and 0 <= value <= _LATEST_MS:
        return rfc3339_of_ms(value)
    return rfc3339_of_ms(0)


def _redaction(
    head: Mapping[str, str], raw: Mapping[Any, Any], content: Mapping[Any, Any]
) -> Event | None:
    # Room versions before 11 have it at the top, later ones in the content.
    target = text_of(raw.get("redacts")) or text_of(content.get("redacts"))
    if not target:
        return None
    return RedactionEvent(
        time=head["time"],
        connector=KIND,
        id=head["id"],
        sender=head["sender"],
        target=target,
    )


def _reaction(head: Mapping[str, str], relation: Mapping[Any, Any]) -> Event | None:
    target, key = text_of(relation.get("event_id")), text_of(relation.get("key"))
    if relation.get("rel_type") != "m.annotation" or not target or not key:
        return None
    return ReactionEvent(**head, target=target, key=key)


def _edit(
    head: Mapping[str, str],
    kind: str,
    content: Mapping[Any, Any],
    relation: Mapping[Any, Any],
    name: str,
) -> Event | None:
    new = mapping_of(content.get("m.new_content"))
    if not new:  # broken, but the fallback for old clients says it too
        new = {**content, "body": text_of(content.get("body")).removeprefix("* ")}
    text, _ = _words(kind, new, _NOTHING, name)
    if not text:
        return None
    thread_id, _ = _place(mapping_of(new.get("m.relates_to")))
    target = text_of(relation.get("event_id"))
    return EditEvent(**head, target=target, text=text, thread_id=thread_id)


def _message(
    head: Mapping[str, str],
    kind: str,
    content: Mapping[Any, Any],
    relation: Mapping[Any, Any],
    name: str,
) -> Event | None:
    text, attachments = _words(kind, content, relation, name)
    if not text:
        return None
    thread_id, reply_to = _place(relation)
    return MessageEvent(  # by far the most, and `**` would copy once more
        time=head["time"],
        connector=KIND,
        id=head["id"],
        sender=head["sender"],
        sender_name=name,
        text=text,
        thread_id=thread_id,
        reply_to=reply_to,
        event_class="human",
        attachments=attachments,
    )


def _place(relation: Mapping[Any, Any]) -> tuple[str | None, str | None]:
    """The thread's root and the event replied to ("Rich replies", "Threading")."""
    if not relation:
        return None, None
    reply_to = text_of(mapping_of(relation.get("m.in_reply_to")).get("event_id")) or None
    root = text_of(relation.get("event_id"))
    if relation.get("rel_type") != "m.thread" or not root:
        return None, reply_to
    return root, None if relation.get("is_falling_back") is True else reply_to


def _words(
    kind: str, content: Mapping[Any, Any], relation: Mapping[Any, Any], name: str
) -> tuple[str, Sequence[Attachment]]:
    """What an event says, and its files; no text if it is none that people read."""
    if kind == "m.room.message":
        msgtype = content.get("msgtype")
        if isinstance(msgtype, str) and msgtype in _FILES:
            return _file(content)
        body = text_of(content.get("body"))
        if body.startswith("> ") and "m.in_reply_to" in relation:
            body = _without_quote(body)
        if msgtype == "m.emote" and body:
            return f"* {name} {body}", ()
        return body or text_of(content.get("geo_uri")), ()
    if kind == "m.sticker":
        return _file(content)
    return _question(content) if kind in _POLLS else "", ()


def _without_quote(body: str) -> str:
    quoted = _QUOTED.match(body)
    answer = body[quoted.end() :] if quoted else ""
    return answer if answer.strip() else body


def _file(content: Mapping[Any, Any]) -> tuple[str, Sequence[Attachment]]:
    """The text and the one attachment of a file; the body is a caption beside a `filename`."""
    body, filename = text_of(content.get("body")), text_of(content.get("filename"))
    name = " ".join((filename or body).splitlines()).strip() or "file"
    caption = body if filename and body != filename else ""
    info = mapping_of(content.get("info"))
    size = info.get("size")
    encrypted = mapping_of(content.get("file"))
    attachment = Attachment(
        name=name,
        mime=text_of(info.get("mimetype")) or None,
        size_bytes=size if type(size) is int and 0 <= size <= _GREATEST_SIZE else None,
        url=text_of(content.get("url")) or text_of(encrypted.get("url")),
    )
    return caption or name, (attachment,)


def _question(content: Mapping[Any, Any]) -> str:
    """A poll in words, which it carries for clients that know no polls ("Polls")."""
    texts = content.get("m.text")
    for item in texts if isinstance(texts, list) else ():
        if text := text_of(mapping_of(item).get("body")):
            return text
    return text_of(content.get("org.matrix.msc1767.text"))
