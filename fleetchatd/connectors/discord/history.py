"""What was said, page by page ("Get Channel Messages"), and where: the channel's threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fleetchatd.connectors.discord.place import thread_parent
from fleetchatd.connectors.discord.raw import id_of
from fleetchatd.connectors.discord.rest import Refused, Rest
from fleetchatd.connectors.untrusted import list_of, mapping_of, text_of

PAGE = 100
"""Messages asked for at once; a page with fewer is the last."""

Raw = Mapping[Any, Any]


async def is_empty(rest: Rest, channel_id: str) -> bool:
    """Whether there is nothing in a channel, or nothing that we may read: Discord says the same.

    Raises:
        RestError: it could not be told.
    """
    answer = await rest.ask(
        "GET", "/channels/{channel_id}/messages", query={"limit": "1"}, channel_id=channel_id
    )
    return isinstance(answer, list) and not answer


async def pages_after(rest: Rest, place_id: str, mark: int) -> AsyncIterator[list[Raw]]:
    """What was said in a channel or thread after `mark`, oldest first.

    Raises:
        RestError: a page could not be had.
    """
    while True:
        query = {"after": str(mark), "limit": str(PAGE)}
        answer = await rest.ask(
            "GET", "/channels/{channel_id}/messages", query=query, channel_id=place_id
        )
        if not isinstance(answer, list):
            raise Refused(200, 0, "with something else than a page of messages")
        found = [mapping_of(raw) for raw in answer if id_of(mapping_of(raw).get("id"))]
        found = [raw for raw in found if int(raw["id"]) > mark]
        found.sort(key=lambda raw: int(raw["id"]))
        if found:
            yield found
            mark = int(found[-1]["id"])
        if len(answer) < PAGE or not found:
            return


async def active_threads(rest: Rest, guild_id: str, channel_id: str) -> list[Raw]:
    """The channel's threads that are not archived ("List Active Guild Threads").

    Raises:
        RestError: they could not be had.
    """
    answer = await rest.ask_if_there("/guilds/{guild_id}/threads/active", guild_id=guild_id)
    return _threads(answer, channel_id)


async def archived_threads(rest: Rest, channel_id: str, since: str) -> list[Raw]:
    """The channel's public threads that were archived after a time, which Discord wrote.

    Raises:
        RestError: they could not be had.
    """
    found: list[Raw] = []
    query = {"limit": str(PAGE)}
    while True:
        answer = await rest.ask_if_there(
            "/channels/{channel_id}/threads/archived/public", query=query, channel_id=channel_id
        )
        page = _threads(answer, channel_id)
        fresh = [thread for thread in page if archived_at(thread) > since]
        found += fresh
        last = archived_at(page[-1]) if page else ""
        # That archived last comes first. Without a time for the next page, there is none.
        more = mapping_of(answer).get("has_more") is True and len(fresh) == len(page)
        if not more or not last or last == query.get("before"):
            return found
        query["before"] = last


def archived_at(thread: Raw) -> str:
    """When a thread was archived, as Discord wrote it."""
    return text_of(mapping_of(thread.get("thread_metadata")).get("archive_timestamp"))


def _threads(answer: Any, channel_id: str) -> list[Raw]:
    listed = [mapping_of(raw) for raw in list_of(mapping_of(answer).get("threads"))]
    return [raw for raw in listed if id_of(raw.get("id")) and thread_parent(raw) == channel_id]


async def find_own(
    rest: Rest, place_id: str, begin: int, mine: Callable[[Raw], bool]
) -> str | None:
    """The id of the oldest message after `begin` that `mine` recognises.

    Raises:
        RestError: a page could not be had.
    """
    async for page in pages_after(rest, place_id, begin):
        for raw in page:
            if mine(raw):
                return str(raw["id"])
    return None
