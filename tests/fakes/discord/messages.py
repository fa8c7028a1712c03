"""Endpoints of messages ("Message Resource")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.discord.refusals import (
    Refusal,
    invalid_form,
    missing_access,
    missing_permissions,
    unknown,
)
from tests.fakes.discord.things import SEND, SEND_IN_THREADS, Channel, Json

if TYPE_CHECKING:
    from tests.fakes.discord.routes import Context

LONGEST_UNITS = 2000
_LONGEST_NONCE = 25


def place(at: Context) -> Channel:
    """The channel or thread of the path, which the bot may see."""
    channel = at.world.channel(at.args[0])
    if not at.world.may_see(at.me, channel):
        raise missing_access()
    return channel


def body_of(at: Context) -> Json:
    if not isinstance(at.call.body, dict):
        raise Refusal(400, 50109, "The request body contains invalid JSON.")
    return at.call.body


def history(at: Context) -> list[Json]:
    """Newest first, whatever way it is asked for ("Get Channel Messages")."""
    channel, query = place(at), at.call.query
    limit = int(query.get("limit", "50"))
    if not 1 <= limit <= 100:
        raise invalid_form("limit", "NUMBER_TYPE_MAX", "int value should be 1 to 100.")
    found = at.world.readable(at.me, channel)
    if "after" in query:
        found = [message for message in found if int(message.id) > int(query["after"])][:limit]
    elif "before" in query:
        found = [message for message in found if int(message.id) < int(query["before"])]
    return [message.json() for message in found[-limit:][::-1]]


def one(at: Context) -> Json:
    channel = place(at)
    message = at.world.message(channel, at.args[1])
    if message not in at.world.readable(at.me, channel):
        raise missing_access()
    return message.json()


def create(at: Context) -> Json:
    """A new message, or with a nonce to be enforced the one it made before ("Create Message")."""
    channel, body = place(at), body_of(at)
    needed = SEND_IN_THREADS if channel.is_thread else SEND
    if not at.world.permissions(at.me, channel) & needed:
        raise missing_permissions()
    if channel.locked:
        raise Refusal(400, 50083, "Thread is archived")
    content, nonce = _content(body), _nonce(body)
    if nonce is not None and body.get("enforce_nonce") is True:
        made = at.world.nonces.get((at.me.id, str(nonce)))
        if made is not None:
            return _answer(made.json(), nonce)
    more: Json = {"nonce": nonce, "flags": int(body.get("flags", 0))}
    if body.get("message_reference") is not None:
        more |= _reference(at, channel, body["message_reference"])
    _check_mentions(body.get("allowed_mentions"))
    message = at.world.say(channel, at.me, content, **more)
    if nonce is not None:
        at.world.nonces[at.me.id, str(nonce)] = message
    return _answer(message.json(), nonce)


def _answer(message: Json, nonce: Any) -> Json:
    return message if nonce is None else message | {"nonce": nonce}


def _content(body: Json) -> str:
    content = body.get("content", "")
    if not isinstance(content, str):
        raise invalid_form("content", "STRING_TYPE_CONVERT", "Could not interpret as string.")
    if len(content.encode("utf-16-le")) // 2 > LONGEST_UNITS:
        words = f"Must be {LONGEST_UNITS} or fewer in length."
        raise invalid_form("content", "BASE_TYPE_MAX_LENGTH", words)
    if not content.strip():
        raise Refusal(400, 50006, "Cannot send an empty message")
    return content


def _nonce(body: Json) -> Any:
    nonce = body.get("nonce")
    if isinstance(nonce, str) and len(nonce) > _LONGEST_NONCE:
        raise invalid_form("nonce", "NONCE_TYPE_TOO_LONG", "Nonce must be 25 or fewer.")
    return nonce


def _reference(at: Context, channel: Channel, reference: Json) -> Json:
    target = str(reference.get("message_id"))
    elsewhere = str(reference.get("channel_id", channel.id)) != channel.id
    if elsewhere or not target.isdecimal() or int(target) not in channel.messages:
        if reference.get("fail_if_not_exists", True):
            raise invalid_form("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
        return {}
    place_ = {"channel_id": channel.id, "guild_id": at.world.guild_id, "message_id": target}
    return {"type": 19, "reference": {"type": 0} | place_}


def _check_mentions(allowed: Any) -> None:
    if allowed is not None and not (
        isinstance(allowed, dict)
        and set(allowed.get("parse", ())) <= {"users", "roles", "everyone"}
    ):
        raise invalid_form("allowed_mentions", "BASE_TYPE_CHOICES", "Value must be one of …")


def edit(at: Context) -> Json:
    message = at.world.message(place(at), at.args[1])
    if message.author is not at.me:
        raise Refusal(403, 50005, "Cannot edit a message authored by another user")
    at.world.edit(message, _content(body_of(at)))
    return message.json()


def delete(at: Context) -> None:
    message = at.world.message(place(at), at.args[1])
    if message.author is not at.me:
        raise missing_permissions()
    at.world.delete(message)


def react(at: Context) -> None:
    channel, _, emoji = place(at), *at.args[1:]
    message = at.world.message(channel, at.args[1])
    name, _, id_ = emoji.partition(":")
    if not name:
        raise unknown("Message")
    at.world.react(message, at.me, {"id": id_ or None, "name": name})
