"""The content of the `m.room.message` event that a part of a message becomes.

Client-server API: "m.room.message msgtypes", "Rich replies", "Threading", "User and room mentions".
"""

from __future__ import annotations

import html
import re
from typing import Any

import orjson

from fleetchatd.connectors.matrix.markup import has_markup, open_fence
from fleetchatd.model import OutboundPart

TRANSACTION_KEY = "dev.fleetchat.transaction_id"
"""Carries the transaction id in the event itself: the server's own memory of it ends with the
login, and the event must be recognised after that too."""

CONTENT_BYTES = 60_000
"""Greatest size of a content as canonical JSON. An event may have 65,536 bytes ("Size limits"),
of which the server needs some for ids, hashes, signatures and the events before it."""

_LINES = re.compile("</?p>|<br>")
_TAGS = re.compile(r"<[^>]*>|\s")


def message_content(part: OutboundPart, *, latest_in_thread: str | None) -> dict[str, Any]:
    """What to send for `part`; always the same for the same arguments.

    Args:
        part: what to say, and the message that it belongs to.
        latest_in_thread: the newest event known in the part's thread, which clients that know no
            threads show as the one replied to; None stands for the thread's root.
    """
    draft = part.message.draft
    text = part.text
    content: dict[str, Any] = {
        "msgtype": "m.notice" if draft.notice else "m.text",
        "body": text,
        "m.mentions": {},  # nobody is notified because a text happens to contain a name
        TRANSACTION_KEY: part.transaction_id,
    }
    reply_to = draft.reply_to if part.index == 0 else None
    if draft.thread_id is not None:
        content["m.relates_to"] = {
            "rel_type": "m.thread",
            "event_id": draft.thread_id,
            "is_falling_back": reply_to is None,
            "m.in_reply_to": {"event_id": reply_to or latest_in_thread or draft.thread_id},
        }
    elif reply_to is not None:
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
    if draft.format == "markdown" and (part.index or has_markup(text)):
        return _formatted(content, part)
    return content


def _formatted(content: dict[str, Any], part: OutboundPart) -> dict[str, Any]:
    """`content` with its text as HTML beside it, where that shows more and there is room."""
    source = part.text
    if 2 * len(source) > CONTENT_BYTES:
        return content  # HTML is no shorter than its source, and rendering this takes long
    fence = open_fence(part.text_before) if part.index else None
    if fence is not None:
        source = fence.resumed(source)
    elif not has_markup(source):
        return content
    from fleetchatd.connectors.matrix.render import to_html  # start-up does not wait for it

    formatted_body = to_html(source)
    if _says_no_more(formatted_body, source):
        return content
    formatted = content | {
        "format": "org.matrix.custom.html",
        "formatted_body": formatted_body,
    }
    return formatted if len(orjson.dumps(formatted)) <= CONTENT_BYTES else content


def _says_no_more(formatted_body: str, source: str) -> bool:
    """Whether the HTML is only the source's lines and paragraphs, or no text at all (`#`)."""
    words = _LINES.sub("", formatted_body).split()
    return words == html.escape(source, quote=False).split() or not _TAGS.sub("", formatted_body)
