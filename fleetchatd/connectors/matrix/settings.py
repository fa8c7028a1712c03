"""The Matrix block of a roster. Light: checking a roster must not load the connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# `$(?!\n)`: Python's `$` alone would let a trailing newline through.
_SERVER = r"(\[[0-9A-Fa-f:.]+\]|[^\s/:?#@\[\]\\]+)(:[0-9]{1,5})?"

_USER_ID: Mapping[str, Any] = {
    "type": "string",
    "title": "a Matrix user id such as '@mos:example.org'",
    "pattern": rf"^@[^\s:]+:{_SERVER}$(?!\n)",
    "maxLength": 255,
}

SECRETS = ("matrix_access_token",)

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["homeserver_url", "user_id", "room_id"],
    "properties": {
        "homeserver_url": {
            "type": "string",
            "title": "the homeserver's URL such as 'https://matrix.example.org', or a bare server "
            "name, without user, password or query",
            "description": "The homeserver's base URL (`https://` or `http://`). A bare server "
            "name is looked up through `/.well-known/matrix/client`.",
            # No `@`: a URL with user and password would be a secret in the roster.
            "pattern": rf"^([Hh][Tt][Tt][Pp][Ss]?://{_SERVER}(/[^\s?#@]*)?|{_SERVER})$(?!\n)",
            "maxLength": 2048,
        },
        "user_id": {
            **_USER_ID,
            "description": "The orchestrator's account. The access token must belong to it.",
        },
        "room_id": {
            "type": "string",
            "title": "a room id such as '!abc:example.org' or an alias such as '#fleet:example.org'"
            ", in quotes",
            "description": "The room, by id or by alias. Ids of newer rooms have no server part.",
            "pattern": rf"^(!\S+|#[^\s:]+:{_SERVER})$(?!\n)",
            "maxLength": 255,
        },
        "allowed_senders": {
            "type": "array",
            "title": "a list of Matrix user ids (an empty one would let nobody speak; leave the "
            "key out to let the members of a closed room speak)",
            "description": "Who may speak to the orchestrator. Without it: the members of the "
            "room, provided that it is not open to everybody.",
            "items": _USER_ID,
            "minItems": 1,
        },
    },
}
