"""What other people's messages, edits, deletions and reactions say, as the program's own events.

No type is trusted: whatever comes, the answer is a sound event or None. What has no id in Discord
gets one here, the same whenever the same thing is told again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from fleetchatd.connectors.discord.raw import KIND, id_of
from fleetchatd.connectors.untrusted import list_of, mapping_of, text_of
from fleetchatd.model import (
    Attachment,
    EditEvent,
    MessageEvent,
    ReactionEvent,
    RedactionEvent,
    rfc3339,
)

SPOKEN = (0, 19)
"""Types of messages that people write: plain ones and replies ("Message Types")."""

NO_WORDS = "(a message that Discord shows without words)"

_FORWARD = 1  # type of a message reference
_GREATEST_SIZE = 2**53 - 1


def message_event(
    raw: Mapping[Any, Any], thread_id: str | None, name: str | None
) -> MessageEvent | None:
    """The event for somebody's message; None if it is none.

    Args:
        raw: the message.
        thread_id: the thread it stands in.
        name: what its author is called in the guild; None if that is not known.
    """
    message_id, author = id_of(raw.get("id")), mapping_of(raw.get("author"))
    sender = id_of(author.get("id"))
    if message_id is None or sender is None:
        return None
    return MessageEvent(
        id=message_id,
        time=time_of(raw.get("timestamp")),
        connector=KIND,
        sender=sender,
        sender_name=name or display_name(author) or sender,
        text=words_of(raw),
        thread_id=thread_id,
        reply_to=_reply_to(raw),
        attachments=list(_attachments(raw)),
    )


def edit_event(raw: Mapping[Any, Any], thread_id: str | None) -> EditEvent | None:
    """The event for a changed message; None unless its author changed the words.

    Discord tells of an unfurled link, too: such a change has no time of its own.
    """
    message_id, sender = id_of(raw.get("id")), author_of(raw)
    edited = text_of(raw.get("edited_timestamp"))
    if message_id is None or sender is None or not edited or "content" not in raw:
        return None
    return EditEvent(
        id=edit_id(message_id, edited),
        time=time_of(edited),
        connector=KIND,
        sender=sender,
        target=message_id,
        text=words_of(raw),
        thread_id=thread_id,
    )


def redaction_events(data: Mapping[Any, Any], now_s: float) -> Iterator[RedactionEvent]:
    """The events for one or many deleted messages. Discord does not say who deleted them."""
    for raw_id in (data.get("id"), *list_of(data.get("ids"))):
        if (message_id := id_of(raw_id)) is not None:
            yield RedactionEvent(
                id=redaction_id(message_id),
                time=rfc3339(now_s),
                connector=KIND,
                sender=None,
                target=message_id,
                welcome=False,  # so it is told if what it takes back was, or was ours
            )


def reaction_event(data: Mapping[Any, Any], event_id: str, now_s: float) -> ReactionEvent | None:
    """The event for a reaction.

    Args:
        data: of the dispatch.
        event_id: made of the dispatch's place in the session: a reaction taken back and made anew
            is another one.
        now_s: Unix time in seconds; Discord gives none.
    """
    sender, target = id_of(data.get("user_id")), id_of(data.get("message_id"))
    emoji = mapping_of(data.get("emoji"))
    name, custom = text_of(emoji.get("name")), id_of(emoji.get("id"))
    if sender is None or target is None or not (name or custom):
        return None
    mark = "a" if emoji.get("animated") is True else ""
    return ReactionEvent(
        id=event_id,
        time=rfc3339(now_s),
        connector=KIND,
        sender=sender,
        target=target,
        key=name if custom is None else f"<{mark}:{name or '_'}:{custom}>",
    )


def edit_id(message_id: str, edited_timestamp: str) -> str:
    """The id of an edit."""
    return f"{message_id}/edit/{edited_timestamp}"


def redaction_id(message_id: str) -> str:
    """The id of a deletion."""
    return f"{message_id}/deleted"


def dispatch_id(session_id: str, seq: int) -> str:
    """The id of what has none: of the dispatch that told of it, which a replay repeats."""
    return f"{session_id}/{seq}"


def author_of(raw: Mapping[Any, Any]) -> str | None:
    """Who wrote a message."""
    return id_of(mapping_of(raw.get("author")).get("id"))


def display_name(user: Mapping[Any, Any]) -> str:
    """What a user is called where nothing else is known."""
    return text_of(user.get("global_name")) or text_of(user.get("username"))


def time_of(value: object) -> str:
    """A time of Discord's (ISO 8601) as the API writes it; the beginning of 1970 for none."""
    try:
        at = datetime.fromisoformat(text_of(value))
    except ValueError:
        return rfc3339(0)
    return rfc3339((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _reply_to(raw: Mapping[Any, Any]) -> str | None:
    reference = mapping_of(raw.get("message_reference"))
    forwarded = reference.get("type") == _FORWARD
    return None if forwarded else id_of(reference.get("message_id"))


def _attachments(raw: Mapping[Any, Any]) -> Iterator[Attachment]:
    for item in map(mapping_of, list_of(raw.get("attachments"))):
        size = item.get("size")
        yield Attachment(
            name=" ".join(text_of(item.get("filename")).split()) or "file",
            mime=text_of(item.get("content_type")) or None,
            size_bytes=size if type(size) is int and 0 <= size <= _GREATEST_SIZE else None,
            url=text_of(item.get("url")),
        )


def words_of(raw: Mapping[Any, Any]) -> str:
    """What a message says: its words, else its files' names, else whatever it has to show."""
    for words in (
        text_of(raw.get("content")),
        _names(raw),
        "\n".join(filter(str.strip, _shown(raw))),
    ):
        if words.strip():
            return words
    return NO_WORDS


def _names(raw: Mapping[Any, Any]) -> str:
    return "\n".join(item.name for item in _attachments(raw))


def _shown(raw: Mapping[Any, Any]) -> Iterator[str]:
    """What a message shows beside words and files: stickers, a poll, cards, what it forwards."""
    for sticker in map(mapping_of, list_of(raw.get("sticker_items"))):
        yield text_of(sticker.get("name"))
    yield text_of(mapping_of(mapping_of(raw.get("poll")).get("question")).get("text"))
    for embed in map(mapping_of, list_of(raw.get("embeds"))):
        yield from (text_of(embed.get("title")), text_of(embed.get("description")))
        for field in map(mapping_of, list_of(embed.get("fields"))):
            yield f"{text_of(field.get('name'))}: {text_of(field.get('value'))}"
    for snapshot in map(mapping_of, list_of(raw.get("message_snapshots"))):
        forwarded = mapping_of(snapshot.get("message"))
        if "message_snapshots" not in forwarded:  # what is forwarded forwards nothing itself
            yield words_of(forwarded)
