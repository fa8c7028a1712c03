"""The tmux block of a roster. Light: checking a roster must not load the connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECRETS: tuple[str, ...] = ()

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "session": {
            "type": "string",
            "title": "a tmux session name: no dots, colons or control characters, and none of "
            "= $ @ % { + ! - at its start",
            "description": "The operator's session, matched exactly.",
            "default": "operator",
            # tmux replaces dots and colons in names, and reads the others as target syntax.
            "pattern": r"^[^\s.:=$@%{+!\x00-\x1f\x7f-][^.:\x00-\x1f\x7f]*$(?!\n)",
            "maxLength": 200,
        },
        "socket_name": {
            "type": "string",
            "title": "the name of a tmux server socket (as in `tmux -L NAME`), not a path",
            "description": "The tmux server. Default: the roster's `tmux.socket_name`, else "
            "`mosaic-fleet`.",
            "pattern": r"^[A-Za-z0-9_.-]+$(?!\n)",
            "maxLength": 80,
        },
        "command": {
            "type": "array",
            "title": "a list of words such as ['fleetchat', 'console']",
            "description": "Started in the session if the session does not exist. Default: the "
            "operator console.",
            "items": {"type": "string", "title": "text", "pattern": r"^[^\x00]*$"},
            "minItems": 1,
        },
    },
}
