"""What the gateway tells and the history holds, on its way through the gate into the journal.

A batch goes to the journal together with the watermarks it was received at. What is refused moves
them too: it is not judged again when the rules have changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from fleetchatd.connectors.base import Inbox
from fleetchatd.connectors.discord import history
from fleetchatd.connectors.discord.events import (
    author_of,
    dispatch_id,
    reaction_event,
    redaction_events,
)
from fleetchatd.connectors.discord.gate import Gate, Own
from fleetchatd.connectors.discord.history import Raw, archived_at
from fleetchatd.connectors.discord.line import Dispatch
from fleetchatd.connectors.discord.place import Place, place_of, thread_parent
from fleetchatd.connectors.discord.position import SKEW_S, Position, greatest, id_span
from fleetchatd.connectors.discord.raw import KIND, id_of
from fleetchatd.connectors.discord.rest import Refused, Rest, RestError
from fleetchatd.connectors.untrusted import mapping_of
from fleetchatd.model import Batch, Event, GapEvent, rfc3339

ELSEWHERE = 10_000
"""So many places that are not ours are remembered, so as not to ask for each message there."""

log = structlog.get_logger("fleetchatd.connector")


class Intake:
    """One channel's way to the inbox.

    Attributes:
        gate: judges what comes, and knows the channel and its threads.
        position: where receiving stands; the journal's follows.
        transactions: our nonces of late, and the transaction ids that they stand for.
    """

    def __init__(
        self, rest: Rest, gate: Gate, inbox: Inbox, transactions: Mapping[str, str]
    ) -> None:
        self.gate = gate
        self.position: Position | None = None
        self._transactions = transactions
        self._rest = rest
        self._inbox = inbox
        self._elsewhere: dict[str, None] = {}

    # -- what the gateway tells -----------------------------------------------------------------

    def is_elsewhere(self, place_id: object) -> bool:
        """Whether that is known to be neither our channel nor one of its threads."""
        found = id_of(place_id)
        return found in self._elsewhere and not self.gate.knows(found)

    async def find_place(self, dispatch: Dispatch) -> None:
        """Learn whether something was said in one of our threads, if that is not known yet.

        Raises:
            RestError: it could not be told now.
        """
        place_id = id_of(dispatch.data.get("channel_id"))
        if (
            place_id is None
            or self.gate.knows(place_id)
            or place_id in self._elsewhere
            or dispatch.data.get("guild_id") != self.gate.place.guild_id
        ):
            return
        try:
            channel = await self._rest.ask("GET", "/channels/{channel_id}", channel_id=place_id)
        except Refused as refusal:
            if not refusal.final:
                raise
            channel = {}
        await self.meet({**mapping_of(channel), "id": place_id})

    async def meet(self, channel: Mapping[Any, Any]) -> bool:
        """Note whether a channel is a thread of ours; True if it is a new one.

        A thread that stood in no list, as private ones that are archived, may have a past that is
        not known: it is journalled first, for what is said now would move the watermark past it.

        Raises:
            RestError: its past could not be had now.
        """
        assert self.position is not None
        channel_id = id_of(channel.get("id"))
        if channel_id is None or self.gate.knows(channel_id):
            return False
        if thread_parent(channel) != self.gate.place.channel_id:
            self._elsewhere[channel_id] = None
            if len(self._elsewhere) > ELSEWHERE:
                del self._elsewhere[next(iter(self._elsewhere))]
            return False
        self.gate.threads.add(channel_id)
        last = greatest([id_of(channel.get("last_message_id"))])
        if self.gate.place.readable and last > self.position.mark(channel_id):
            try:
                await self._read(channel_id, last)
            except RestError:
                self.gate.threads.discard(channel_id)
                raise
        return True

    def take(self, dispatches: Iterable[Dispatch]) -> asyncio.Future[None] | None:
        """Journal what the gateway told; None if there is nothing to wait for."""
        assert self.position is not None
        events: list[Event] = []
        confirmed: list[tuple[str, str]] = []
        moved = False
        for dispatch in dispatches:
            place_id = id_of(dispatch.data.get("channel_id"))
            if place_id is None or not self.gate.knows(place_id):
                continue
            if dispatch.name == "MESSAGE_CREATE":
                moved = self._message(dispatch.data, place_id, events, confirmed) or moved
            else:
                events += self._about(dispatch, place_id)
        if not (events or confirmed or moved):
            return None
        return self._inbox.commit(Batch(events, self.position.encode(), confirmed))

    def _message(
        self, raw: Raw, place_id: str, events: list[Event], confirmed: list[tuple[str, str]]
    ) -> bool:
        """Judge a message and move the watermark; False if it is none."""
        assert self.position is not None
        message_id = id_of(raw.get("id"))
        if message_id is None:
            return False
        found = self.gate.message(raw, place_id)
        if isinstance(found, Own):
            transaction_id = self._transactions.get(found.nonce or "")
            if transaction_id is not None:
                confirmed.append((transaction_id, found.message_id))
        elif found is not None:
            events.append(found)
        self.position.move(place_id, int(message_id))
        return True

    def _about(self, dispatch: Dispatch, place_id: str) -> Iterable[Event]:
        """What is told of messages that were said before."""
        name, data = dispatch.name, dispatch.data
        if name == "MESSAGE_UPDATE":
            edit = self.gate.edit(data, place_id)
            return () if edit is None else (edit,)
        if name in ("MESSAGE_DELETE", "MESSAGE_DELETE_BULK"):
            return redaction_events(data, time.time())
        event_id = dispatch_id(dispatch.session_id, dispatch.seq)
        if name == "MESSAGE_REACTION_ADD" and self.gate.may_react(data, event_id):
            reaction = reaction_event(data, event_id, time.time())
            return () if reaction is None else (reaction,)
        return ()

    # -- what the history holds -------------------------------------------------------------------

    async def begin(self) -> None:
        """A first contact begins here: what was said before is not delivered.

        Raises:
            RestError: it could not be told where that is.
        """
        threads, archived = await self._threads("")
        ids = [id_of(raw.get("last_message_id")) for raw in (*threads, *archived)]
        swept = max(map(archived_at, archived), default="")
        floor = greatest([self.gate.place.last_message_id, *ids])
        self.position = Position(floor, swept=swept)
        await self._inbox.commit(Batch(position=self.position.encode()))

    async def catch_up(self, told: Mapping[str, int]) -> None:
        """Journal what was said in the channel and its threads and is not known yet.

        Args:
            told: the newest message, by place, that the gateway told and that waits its turn.

        Raises:
            RestError: something could not be had now; what was had is journalled.
        """
        assert self.position is not None
        place, before = self.gate.place, self.position.encode()
        active, archived = await self._threads(self.position.swept)
        newest = {place.channel_id: greatest([place.last_message_id])}
        for raw in sorted((*active, *archived), key=lambda raw: int(raw["id"])):
            newest[str(raw["id"])] = greatest([id_of(raw.get("last_message_id"))])
        for place_id, last in newest.items():
            new = last > self.position.mark(place_id)
            if place.readable and (new or place_id == place.channel_id):
                await self._read(place_id, last)
            elif new and last > told.get(place_id, 0):
                await self._skip(place_id, last, "its history is closed to the bot")
        self.position.swept = max([self.position.swept, *map(archived_at, archived)])
        # What was said while the lists were made may stand in none of them.
        self.position.settle(max(newest.values()) - id_span(SKEW_S))
        if self.position.encode() != before:
            await self._inbox.commit(Batch(position=self.position.encode()))

    async def _threads(self, since: str) -> tuple[list[Raw], list[Raw]]:
        """The active threads, and those that were archived after a time."""
        place = self.gate.place
        active = await history.active_threads(self._rest, place.guild_id, place.channel_id)
        archived: list[Raw] = []
        if place.readable:
            archived = await history.archived_threads(self._rest, place.channel_id, since)
        self.gate.threads.update(str(raw["id"]) for raw in (*active, *archived))
        return active, archived

    async def _read(self, place_id: str, last: int) -> None:
        """Journal the rest of what was said in one place, page by page."""
        assert self.position is not None
        pages = history.pages_after(self._rest, place_id, self.position.mark(place_id))
        try:
            async for page in pages:
                await self._learn_nicks(page)
                events: list[Event] = []
                for raw in page:
                    self._message(raw, place_id, events, [])
                await self._inbox.commit(Batch(events, self.position.encode()))
        except Refused as refusal:
            if not refusal.final or place_id == self.gate.place.channel_id:
                raise
            await self._skip(place_id, last, str(refusal))

    async def _skip(self, place_id: str, last: int, reason: str) -> None:
        """Go on behind what cannot be read, and say so."""
        assert self.position is not None
        self.position.move(place_id, last)
        await self.report_gap(reason, self.gate.thread_of(place_id))

    async def _learn_nicks(self, page: Iterable[Raw]) -> None:
        """Ask what those who speak on a page are called, which the history does not say."""
        authors = {author_of(raw) for raw in page if raw.get("webhook_id") is None}
        for author in authors - {None, self.gate.me}:
            if author is None or author in self.gate.nicks:
                continue
            try:
                member = await self._rest.ask_if_there(
                    "/guilds/{guild_id}/members/{user_id}",
                    guild_id=self.gate.place.guild_id,
                    user_id=author,
                )
            except RestError as error:  # a name is not worth waiting for; the next page asks again
                log.debug("cannot ask for members' names", reason=str(error))
                return
            self.gate.learn_nick(author, member or {})  # nobody: somebody who has left

    async def report_gap(self, reason: str, thread_id: str | None = None) -> None:
        """Tell that something is missing for good."""
        log.warning("some events cannot be fetched", reason=reason, fleetchat_thread_id=thread_id)
        gap = GapEvent(
            time=rfc3339(time.time()),
            connector=KIND,
            thread_id=thread_id,
            detail=f"some events cannot be fetched: {reason}",
        )
        position = None if self.position is None else self.position.encode()
        await self._inbox.commit(Batch([gap], position))


async def look_around(rest: Rest, channel_id: str) -> Place:
    """See how the channel stands now.

    Raises:
        RestError: it could not be told.
    """
    channel = mapping_of(await rest.ask("GET", "/channels/{channel_id}", channel_id=channel_id))
    guild_id = id_of(channel.get("guild_id"))
    if guild_id is None:
        raise Refused(200, 0, f"that {channel_id} is no channel of a server")
    guild = await rest.ask_if_there("/guilds/{guild_id}", guild_id=guild_id)
    member = await rest.ask_if_there(
        "/guilds/{guild_id}/members/{user_id}", guild_id=guild_id, user_id=rest.me
    )
    place = place_of(channel, guild, member, rest.me)
    if place is None or place.channel_id != channel_id:
        raise Refused(200, 0, "with something else than a channel")
    # Permissions say what should be; an empty answer says what is.
    said = place.readable and place.last_message_id is not None and place.unusable is None
    return replace(place, blank=said and await history.is_empty(rest, channel_id))
