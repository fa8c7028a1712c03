"""Messages: send, look at, list, cancel, retry."""

from __future__ import annotations

from typing import Any

import structlog
from aiohttp import web

from fleetchatd.api.listener import Peer, peer_of
from fleetchatd.api.problems import RequestError, bad_request, not_found, unprocessable
from fleetchatd.api.query import Query
from fleetchatd.api.service import Service, json_response, parse_json
from fleetchatd.model import Draft, Message

MAX_KEY = 200
MAX_ID = 255
MAX_EXPIRES_S = 10 * 366 * 86400
MAX_LIMIT = 1000
DEFAULT_LIMIT = 50

_FIELDS = frozenset({"text", "thread_id", "reply_to", "format", "notice", "expires_s"})

log = structlog.get_logger("fleetchatd.api")


async def send(service: Service, request: web.BaseRequest) -> web.Response:
    """Accept a message: 202 once it is on disk, or wait for its end."""
    query = Query(request, ("wait_s",))
    wait_s = query.seconds("wait_s")
    peer = peer_of(request)  # before anything is awaited: it may go away
    key = idempotency_key(request)
    draft = parse_draft(parse_json(await request.read()))
    acceptance = await service.outbox.accept(draft, key, watched=wait_s > 0)
    message = acceptance.message
    if not acceptance.matches:
        raise unprocessable(
            "this Idempotency-Key belongs to a message with another body; use a new key",
            "idempotency-mismatch",
        )
    if acceptance.created:
        log_peer(peer, message)
    if wait_s:
        message = await service.outbox.ends.until_final(message, wait_s)
        return json_response(message.to_json(), 200 if message.state.final else 202)
    shown = message.to_json()
    if acceptance.created:
        shown["state"] = "queued"  # accepted, whatever has begun since
        shown["attempts"] = 0
    else:
        shown = (service.journal.message(message.id) or message).to_json()
    return json_response(shown, 202)


def log_peer(peer: Peer, message: Message) -> None:
    """Tell the log who sent it."""
    log.info(
        "message accepted",
        fleetchat_message_id=message.id,
        fleetchat_thread_id=message.draft.thread_id,
        fleetchat_peer_pid=peer.pid,
        fleetchat_peer_uid=peer.uid,
    )


def idempotency_key(request: web.BaseRequest) -> str | None:
    """The Idempotency-Key header, checked."""
    values = request.headers.getall("Idempotency-Key", [])
    if not values:
        return None
    key = values[0]
    if len(values) > 1 or not 1 <= len(key) <= MAX_KEY or not (key.isascii() and key.isprintable()):
        raise bad_request(
            f"cannot use that Idempotency-Key: use 1 to {MAX_KEY} printable ASCII characters",
            "bad-key",
        )
    return key


def parse_draft(body: Any) -> Draft:
    """What a client asks to send.

    Raises:
        RequestError: a field is bad, missing or unknown.
    """
    if not isinstance(body, dict):
        raise unprocessable("the body must be a JSON object with the field text")
    unknown = body.keys() - _FIELDS
    if unknown:
        names = ", ".join(sorted(repr(name) for name in unknown))
        raise unprocessable(f"unknown field {names}; known are {', '.join(sorted(_FIELDS))}")
    text = body.get("text")
    if not isinstance(text, str):
        raise unprocessable("field text is missing or not a string")
    if not text.strip():
        raise unprocessable("field text is empty", "empty-text")
    text_format = body.get("format")
    if text_format not in (None, "markdown", "plain"):
        raise unprocessable("field format must be markdown or plain")
    return Draft(
        text=_whole(text, "text"),
        thread_id=_id(body.get("thread_id"), "thread_id"),
        reply_to=_id(body.get("reply_to"), "reply_to"),
        format=text_format or "markdown",
        notice=_flag(body.get("notice")),
        expires_s=_expires_s(body.get("expires_s")),
    )


def _flag(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise unprocessable("field notice must be true or false")


def _expires_s(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise unprocessable("field expires_s must be a number of seconds or null")
    if not 0 < value <= MAX_EXPIRES_S:
        raise unprocessable(f"field expires_s must be above 0 and at most {MAX_EXPIRES_S}")
    return float(value)


def _id(value: Any, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID:
        raise unprocessable(f"field {name} must be a string of 1 to {MAX_ID} characters, or null")
    return _whole(value, name)


def _whole(value: str, name: str) -> str:
    """Refuse lone surrogates: they are no characters, and no chat can carry them."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise unprocessable(f"field {name} has a lone surrogate", "lone-surrogate") from None
    return value


async def show(service: Service, request: web.BaseRequest, message_id: str) -> web.Response:
    """One message and its state."""
    Query(request, ())
    return json_response(_find(service, message_id).to_json())


def _find(service: Service, message_id: str) -> Message:
    message = service.journal.message(message_id)
    if message is None:
        raise not_found("there is no message with that id", "unknown-message")
    return message


async def cancel(service: Service, request: web.BaseRequest, message_id: str) -> web.Response:
    """Cancel a message that is still queued."""
    Query(request, ())
    message = await service.outbox.cancel(message_id)
    if message is None:
        state = _find(service, message_id).state.value
        raise RequestError(409, "not-queued", f"cannot cancel the message: it is {state}")
    return json_response(message.to_json())


async def retry(service: Service, request: web.BaseRequest, message_id: str) -> web.Response:
    """Queue a failed message again."""
    Query(request, ())
    message = await service.outbox.retry(message_id)
    if message is None:
        state = _find(service, message_id).state.value
        raise RequestError(409, "not-failed", f"cannot retry the message: it is {state}")
    return json_response(message.to_json(), 202)


async def history(service: Service, request: web.BaseRequest) -> web.Response:
    """What was said in both directions, newest first."""
    query = Query(request, ("limit", "before", "thread_id", "direction"))
    direction = query.choice("direction", ("in", "out"))
    items = service.journal.history(
        limit=query.number("limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        before=query.text("before"),
        thread_id=query.text("thread_id"),
        direction="in" if direction == "in" else "out" if direction == "out" else None,
    )
    if items is None:
        raise not_found("there is nothing with the id given as before", "unknown-message")
    return json_response({"messages": items})
