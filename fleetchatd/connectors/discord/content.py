"""The body of the request that sends one part ("Create Message")."""

from __future__ import annotations

from typing import Any

from fleetchatd.connectors.discord.nonce import nonce_of
from fleetchatd.connectors.discord.split import rendered
from fleetchatd.model import OutboundPart

SUPPRESS_NOTIFICATIONS = 1 << 12


def content_of(part: OutboundPart) -> str:
    """What people see of a part."""
    return rendered(part.text_before, part.text, alone=len(part.message.parts) == 1)


def message_body(part: OutboundPart) -> dict[str, Any]:
    """What to send for `part`; always the same for the same part."""
    draft = part.message.draft
    body: dict[str, Any] = {
        "content": content_of(part),
        "nonce": nonce_of(part.transaction_id),
        "enforce_nonce": True,
        "allowed_mentions": {"parse": []},  # nobody is notified because a text contains a name
    }
    if draft.notice:
        body["flags"] = SUPPRESS_NOTIFICATIONS
    if draft.reply_to is not None and part.index == 0:
        # What was deleted meanwhile is answered all the same.
        body["message_reference"] = {"message_id": draft.reply_to, "fail_if_not_exists": False}
    return body
