"""JSON schemas (draft 2020-12) of what goes over the socket."""

from __future__ import annotations

from typing import Any

from fleetchatd.api.messages import MAX_EXPIRES_S, MAX_ID, MAX_KEY
from fleetchatd.api.query import NAME_PATTERN

_TEXT = {"type": "string", "minLength": 1, "pattern": r"\S"}
_ID = {"type": ["string", "null"], "minLength": 1, "maxLength": MAX_ID}
_STRING = {"type": "string"}
_MAYBE_STRING = {"type": ["string", "null"]}
_MAYBE_NUMBER = {"type": ["number", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_FLAG = {"type": "boolean"}


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


_STATES = ["queued", "sending", "delivered", "failed", "unknown"]
_SAID = {
    "id": _STRING,
    "direction": {"enum": ["in", "out"]},
    "time": _STRING,
    "sender": _MAYBE_STRING,
    "text": _STRING,
    "thread_id": _MAYBE_STRING,
    "reply_to": _MAYBE_STRING,
    "state": {"enum": [*_STATES, None]},
    "remote_id": _MAYBE_STRING,
    "error": _MAYBE_STRING,
}
_SENT = {
    "format": {"enum": ["markdown", "plain"]},
    "notice": _FLAG,
    "remote_ids": {"type": "array", "items": _STRING},
    "attempts": _COUNT,
}
_STATUS = {"enum": ["ok", "degraded", "down"]}
_CONNECTOR = {
    "kind": _STRING,
    "reachable": _FLAG,
    "authenticated": _FLAG,
    "receiving": _FLAG,
    "last_receive_age_s": _MAYBE_NUMBER,
    "detail": _MAYBE_STRING,
}
_OUTBOX = {"queued": _COUNT, "waiting": _COUNT, "oldest_age_s": _MAYBE_NUMBER, "failed": _COUNT}
_READER = {"name": _STRING, "connected": _FLAG, "lag": _COUNT}
_POSITION = _READER | {"acked_seq": _COUNT, "oldest_unacked_age_s": _MAYBE_NUMBER}

SCHEMAS: dict[str, Any] = {
    "Id": {"type": "string", "minLength": 1},
    "Name": {"type": "string", "pattern": NAME_PATTERN},
    "Key": {"type": "string", "pattern": f"^[ -~]{{1,{MAX_KEY}}}$"},
    "Draft": _object(
        {
            "text": _TEXT,
            "thread_id": _ID,
            "reply_to": _ID,
            "format": {"enum": ["markdown", "plain", None]},
            "notice": {"type": ["boolean", "null"]},
            "expires_s": {
                "type": ["number", "null"],
                "exclusiveMinimum": 0,
                "maximum": MAX_EXPIRES_S,
            },
        },
        optional=("thread_id", "reply_to", "format", "notice", "expires_s"),
    ),
    "Message": _object(_SAID | _SENT),
    "History": _object(
        {"messages": {"type": "array", "items": _object(_SAID | _SENT, optional=tuple(_SENT))}}
    ),
    "Ack": _object({"seq": _COUNT}),
    "Acked": _object({"name": _STRING, "acked_seq": _COUNT}),
    "Subscribers": _object({"subscribers": {"type": "array", "items": _object(_POSITION)}}),
    "Health": _object(
        {
            "status": _STATUS,
            "problems": {"type": "array", "items": _STRING},
            "version": _STRING,
            "uptime_s": {"type": "number"},
            "roster": _object({"path": _STRING, "loaded_at": _STRING, "error": _MAYBE_STRING}),
            "connector": _object(_CONNECTOR),
            "outbox": _object(_OUTBOX),
            "journal": _object(
                {"last_seq": _COUNT, "size_bytes": _COUNT, "path": _STRING, "error": _MAYBE_STRING}
            ),
            "subscribers": {"type": "array", "items": _object(_READER)},
        }
    ),
    "Reloaded": _object({"reloaded": {"const": True}}),
    "Problem": {
        "type": "object",
        "properties": {
            "type": _STRING,
            "title": _STRING,
            "status": {"type": "integer"},
            "detail": _STRING,
            "kind": {"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$"},
            "errors": {"type": "array", "items": _STRING},
        },
        "required": ["title", "status", "detail", "kind"],
    },
}
