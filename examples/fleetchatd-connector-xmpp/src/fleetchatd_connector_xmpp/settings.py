"""What a roster may say of an XMPP room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KIND = "xmpp"
SECRETS = ("xmpp_password",)

_JID: Mapping[str, Any] = {
    "type": "string",
    "title": "an address such as 'mos@example.org', in quotes",
    "pattern": r"^[^@/\s]+@[^@/\s]+$(?!\n)",
}

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["jid", "room"],
    "properties": {
        "jid": {**_JID, "description": "The orchestrator's account."},
        "room": {**_JID, "description": "The room. It must exist, and let the account in."},
        "allowed_senders": {
            "type": "array",
            "title": "a list of addresses such as 'ann@example.org'",
            "description": "Who may speak to the orchestrator. Without it: the members of the"
            " room, provided that it is for members only.",
            "items": _JID,
            "minItems": 1,
        },
        "server": {
            "type": "string",
            "title": "HOST:PORT",
            "description": "Where the server is, if not where the DNS says.",
            "pattern": r"^[^\s:]+:[0-9]{1,5}$(?!\n)",
        },
    },
}
