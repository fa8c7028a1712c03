"""What answers to `/sync` bring is journalled: the gap first, the timeline and the place last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog

from fleetchatd.connectors.base import Inbox
from fleetchatd.connectors.matrix.api import Api
from fleetchatd.connectors.matrix.events import KIND, id_of
from fleetchatd.connectors.matrix.history import Gap
from fleetchatd.connectors.matrix.position import ANCHORS, Position
from fleetchatd.connectors.matrix.reader import Reader
from fleetchatd.connectors.matrix.sync import Answer
from fleetchatd.connectors.untrusted import mapping_of
from fleetchatd.model import Batch, GapEvent, rfc3339

log = structlog.get_logger("fleetchatd.connector")


class Intake:
    """One room's way from the homeserver's answers to the inbox.

    Attributes:
        reader: judges what comes, and knows the room.
        position: where receiving stands; the journal's follows.
    """

    def __init__(self, reader: Reader, position: Position, inbox: Inbox) -> None:
        self.reader = reader
        self.position = position
        self._inbox = inbox
        if position.rules is not None:
            reader.room.rules = position.rules

    async def take_in(self, api: Api, answer: Answer) -> asyncio.Future[None] | None:
        """Journal what an answer brought; None if there is nothing to wait for.

        Raises:
            ApiError: a gap before it could not be fetched now; the position is where it was.
        """
        room = self.reader.room
        seen: list[str] = []
        timeline: Sequence[Any] = ()
        # Outside, the server tells of our own membership alone (unbanned, say). Were that taken for
        # an event that is known, what was said before it would be thought known on our return.
        if answer.place == "join" or (answer.place == "leave" and self.position.inside):
            timeline, known = self._news(answer.timeline)
            if answer.limited and not known:
                seen = await self._fill(api, answer)
        for raw in answer.state:
            room.apply(raw)
        for raw in answer.timeline[: len(answer.timeline) - len(timeline)]:
            room.apply(raw)
        read = self.reader.read(self.reader.digest(timeline))
        if answer.place == "leave" and room.membership == "join":
            room.membership = "leave"  # Conduit's kind says no more than the heading
        elif answer.place == "join":
            room.membership = "join"
        seen += ids_of(timeline[-ANCHORS:])
        self.position = replace(
            self.position.after(seen),
            since=answer.next_batch,
            rules=room.rules,
            inside=room.membership == "join",
        )
        if not seen and not read.events:
            return None
        position = self.position.encode()
        return self._inbox.commit(Batch(read.events, position, read.confirmations))

    def _news(self, timeline: Sequence[Any]) -> tuple[Sequence[Any], bool]:
        """What of a timeline is new, and whether what comes before that is known.

        After joining, a timeline begins long before it.
        """
        for number in range(len(timeline), 0, -1):
            if self._known(timeline[number - 1]):
                return timeline[number:], True
        return timeline, False

    def _known(self, raw: Any) -> bool:
        """Whether an event, and what is older, is not for us any more, or never was."""
        if self.position.anchors:
            return mapping_of(raw).get("event_id") in self.position.anchors
        return _enters(raw, self.reader.room.me)

    async def _fill(self, api: Api, answer: Answer) -> list[str]:
        """Journal what lies between the last answer and this one, oldest first.

        The position stays where it was until the whole gap is in: a crash begins it again, and
        what is in already is known by its id.

        Returns:
            The ids of the newest events in it.
        """
        newest: list[str] = []

        def keep(events: list[Any], members: Sequence[Any]) -> list[Any]:
            if not newest:
                newest.extend(ids_of(events[-ANCHORS:]))
            return list(self.reader.digest(events, members))

        position = self.position
        gap = Gap(api, position.room_id, position.gap_reaches_to, self._known, keep)
        # Without a place to begin at: from the room's end; what comes twice counts once.
        await gap.measure(answer.prev_batch if answer.timeline else None)
        if gap.lost is not None:
            if answer.place == "leave":
                return []  # those outside may not look back; it is tried again on our return
            await self._report(gap.lost)
        async for page in gap.pages():
            read = self.reader.read(page)
            await self._inbox.commit(Batch(read.events, None, read.confirmations))
        return newest

    async def _report(self, reason: str) -> None:
        log.warning("a gap cannot be filled", reason=reason)
        detail = f"some events cannot be fetched: {reason}"
        gap = GapEvent(time=rfc3339(time.time()), connector=KIND, detail=detail)
        await self._inbox.commit(Batch([gap]))


def ids_of(events: Sequence[Any]) -> list[str]:
    """The ids of events; what has none is left out."""
    found = (id_of(mapping_of(raw).get("event_id")) for raw in events)
    return [event_id for event_id in found if event_id is not None]


def _enters(raw: Any, me: str) -> bool:
    """Whether an event is our joining of the room, and not a change of our name there."""
    event = mapping_of(raw)
    if event.get("type") != "m.room.member" or event.get("state_key") != me:
        return False
    before = mapping_of(mapping_of(event.get("unsigned")).get("prev_content"))
    joined = mapping_of(event.get("content")).get("membership") == "join"
    return not joined or before.get("membership") != "join"
