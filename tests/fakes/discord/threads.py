"""Endpoints of threads ("Threads", "Channels Resource")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.discord.messages import body_of, place
from tests.fakes.discord.refusals import (
    Refusal,
    invalid_form,
    missing_access,
    missing_permissions,
    unknown,
)
from tests.fakes.discord.things import (
    HISTORY,
    MANAGE_THREADS,
    OPEN_THREADS,
    PUBLIC_THREAD,
    TEXT,
    Json,
)

if TYPE_CHECKING:
    from tests.fakes.discord.routes import Context

_LONGEST_NAME = 100


def active(at: Context) -> Json:
    """Every active thread of the guild that the bot may see ("List Active Guild Threads")."""
    if at.args[0] != at.world.guild_id:
        raise unknown("Guild")
    found = [
        thread for thread in at.world.threads(archived=False) if at.world.may_see(at.me, thread)
    ]
    return {"threads": [thread.json() for thread in found[::-1]], "members": []}


def archived(at: Context) -> Json:
    """Public archived threads of a channel, that archived last first."""
    channel = place(at)
    if not at.world.permissions(at.me, channel) & HISTORY:
        raise missing_access()
    limit, before = int(at.call.query.get("limit", "50")), at.call.query.get("before")
    found = [
        thread
        for thread in at.world.threads(archived=True, parent=channel)
        if thread.type == PUBLIC_THREAD and (before is None or thread.archive_timestamp < before)
    ]
    found.sort(key=lambda thread: thread.archive_timestamp, reverse=True)
    page = [thread.json() for thread in found[:limit]]
    return {"threads": page, "members": [], "has_more": len(found) > limit}


def start_from_message(at: Context) -> Json:
    """A thread with a message's id ("Start Thread from Message")."""
    channel, name = place(at), _name(at)
    if channel.type != TEXT:
        raise Refusal(400, 50024, "Cannot execute action on this channel type")
    if not at.world.permissions(at.me, channel) & OPEN_THREADS:
        raise missing_permissions()
    header = at.world.message(channel, at.args[1])
    return at.world.open_thread(channel, at.me, name, header=header).json()


def start(at: Context) -> Json:
    """A thread without a message ("Start Thread without Message")."""
    channel = place(at)
    kind = int(body_of(at).get("type", 12))
    return at.world.open_thread(channel, at.me, _name(at), kind=kind).json()


def _name(at: Context) -> str:
    name = body_of(at).get("name")
    if not isinstance(name, str) or not 1 <= len(name.encode("utf-16-le")) // 2 <= _LONGEST_NAME:
        raise invalid_form("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    return name


def join(at: Context) -> None:
    thread = place(at)
    if not thread.is_thread:
        raise Refusal(400, 50024, "Cannot execute action on this channel type")
    if thread.archived:
        raise Refusal(400, 50083, "Thread is archived")
    if at.me.id not in thread.members:
        thread.members.append(at.me.id)


def modify(at: Context) -> Json:
    thread, body = place(at), body_of(at)
    if not thread.is_thread or not at.world.permissions(at.me, thread) & MANAGE_THREADS:
        raise missing_permissions()
    archived = bool(body.get("archived", thread.archived))
    at.world.archive(thread, archived=archived, locked=bool(body.get("locked", thread.locked)))
    return thread.json()
