"""The Discord block of a roster. Light: checking a roster must not load the connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ID: Mapping[str, Any] = {
    "type": "string",
    "title": "a Discord id of up to 20 digits, in quotes such as '123'",
    "pattern": r"^[0-9]{1,20}$(?!\n)",
}
_LOOPBACK = r"(localhost|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\])"
_REST = r"(:[0-9]{1,5})?(/[^\s?#@]*)?"

SECRETS = ("discord_bot_token",)

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["channel_id"],
    "properties": {
        "channel_id": {
            **_ID,
            "description": "The channel. Its threads belong to it.",
        },
        "allowed_senders": {
            "type": "array",
            "title": "a list of Discord user ids (an empty one would let nobody speak; leave the "
            "key out to let those who see a closed channel speak)",
            "description": "Who may speak to the orchestrator. Without it: whoever may see the "
            "channel, provided that @everyone may not. A bot may speak only if it is listed.",
            "items": _ID,
            "minItems": 1,
        },
        "api_url": {
            "type": "string",
            "title": "an https URL such as 'https://discord.com/api/v10' (http on loopback only), "
            "without user, password or query",
            "description": "For other servers that speak Discord's API.",
            "default": "https://discord.com/api/v10",
            "pattern": rf"^(https://[^\s/:?#@\[\]\\]+{_REST}|https?://{_LOOPBACK}{_REST})$(?!\n)",
            "maxLength": 2048,
        },
    },
}
