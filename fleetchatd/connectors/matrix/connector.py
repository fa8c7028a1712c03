"""The Matrix connector: `/sync` in, `PUT …/send` out, and what health can truthfully say.

subscribe:  sign in ─▶ look around ─▶ poll ─▶ fill the gap ─▶ inbox.commit ─┐
               ▲ any error, after a pause    ▲──────────────────────────────┘
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import structlog

from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.connectors.matrix import history, split
from fleetchatd.connectors.matrix.account import Account, WrongAccount
from fleetchatd.connectors.matrix.api import Api, ApiError, Refused, Unreachable, base_url_of, path
from fleetchatd.connectors.matrix.content import message_content
from fleetchatd.connectors.matrix.events import KIND, mapping_of, own_transaction
from fleetchatd.connectors.matrix.position import Mark, Position
from fleetchatd.connectors.matrix.reader import Reader
from fleetchatd.connectors.matrix.room import Room
from fleetchatd.connectors.matrix.settings import SCHEMA, SECRETS
from fleetchatd.connectors.matrix.sync import (
    POLL_MS,
    TIMELINE_LIMIT,
    Answer,
    parse_answer,
    sync_path,
)
from fleetchatd.errors import SendAmbiguous, SendDeferred, SendError, SendRefused
from fleetchatd.model import (
    Batch,
    ConnectorHealth,
    Format,
    GapEvent,
    HealthStatus,
    OutboundPart,
    SendResult,
    rfc3339,
)

OVERDUE_S = 15.0
"""How long after its end a poll may take before the receiver counts as deaf, in seconds."""

REPEAT_WITHIN_S = 20 * 3600.0
"""How long a transaction id is trusted to be remembered; servers forget after a day."""

QUICK_S = 0.2
QUICK_LIMIT = 10
"""So many empty answers in a row, each sooner than that, are no news but a server gone wrong."""

log = structlog.get_logger("fleetchatd.connector")


class Unusable(Exception):  # noqa: N818 - reads as the outcome that it is
    """A person must act before the room can be used; the sentence says how."""


class MatrixConnector:
    """One room on one homeserver, as one account (contract §6)."""

    kind: ClassVar[str] = KIND
    settings_schema: ClassVar[Mapping[str, Any]] = SCHEMA
    secrets: ClassVar[Sequence[str]] = SECRETS

    def __init__(self, settings: Mapping[str, Any], context: Context) -> None:
        self._context = context
        self._homeserver: str = settings["homeserver_url"]
        self._place: str = settings["room_id"]
        allowed = settings.get("allowed_senders")
        self._allowed = None if allowed is None else frozenset(allowed)
        self._account = Account(settings["user_id"], context)
        self._api: Api | None = None
        self._position: Position | None = None
        self._reader = self._new_reader(self._place)
        self._health = ConnectorHealth(
            "degraded", reachable=False, authenticated=False, receiving=False, detail="connecting"
        )

    @classmethod
    def create(cls, settings: Mapping[str, Any], context: Context) -> Self:
        """Make one from its block in the roster; opens no connection."""
        return cls(settings, context)

    @property
    def target(self) -> str:
        """The account and the room, as the roster names them."""
        return f"{KIND} {self._account.user_id} {self._place}"

    def health(self) -> ConnectorHealth:
        """What it can truthfully say of itself now."""
        return self._health

    async def close(self) -> None:
        """Close the connections to the homeserver."""
        if self._api is not None:
            await self._api.close()

    def split(self, text: str, text_format: Format) -> tuple[str, ...]:
        """`text` in parts that each fit an event, losslessly."""
        return split.split(text, text_format)

    # -- health -------------------------------------------------------------------------------

    def _show(self, **changes: Any) -> None:
        before, self._health = self._health, replace(self._health, **changes)
        if not self._health.same_as(before):
            self._context.health_changed()

    def _working(self) -> None:
        """An answer came and the room can be used."""
        self._context.pauses.succeeded()
        verdict = self._reader.room.verdict(self._allowed)
        status: HealthStatus = "ok" if verdict is None else "down"
        self._show(
            status=status,
            reachable=True,
            authenticated=True,
            receiving=self._reader.room.membership == "join",
            detail=None if verdict is None else verdict.detail,
            last_receive=asyncio.get_running_loop().time(),
        )

    def _troubled(self, error: ApiError | WrongAccount | Unusable) -> None:
        """Receiving does not work; say why, and whether a person must act."""
        if isinstance(error, WrongAccount):
            wrong = (
                f"the access token belongs to {error}, and the roster says "
                f"{self._account.user_id}; put the right one in its place"
            )
            self._show(
                status="down", reachable=True, authenticated=False, receiving=False, detail=wrong
            )
        elif isinstance(error, Unusable):
            self._show(
                status="down",
                reachable=True,
                authenticated=True,
                receiving=False,
                detail=str(error),
            )
        elif isinstance(error, Refused) and error.logged_out:
            self._show(
                status="down",
                reachable=True,
                authenticated=False,
                receiving=False,
                detail=f"the homeserver refuses the access token ({error.errcode}); "
                "log in again with `fleetchat login matrix`, or give another token and reload",
            )
        else:
            reached = isinstance(error, Refused) and bool(error.errcode)
            detail = str(error)
            if isinstance(error, Unreachable):
                detail = f"cannot reach the homeserver {self._homeserver}: {error}"
            self._show(status="degraded", reachable=reached, receiving=False, detail=detail)

    # -- receiving ----------------------------------------------------------------------------

    async def subscribe(self, inbox: Inbox) -> None:
        """Receive until cancelled, surviving every outage."""
        encoded = await inbox.position()
        if encoded is not None:
            self._position = Position.decode(encoded)
        while True:
            wait_s = None
            try:
                await self._receive(inbox)
            except (ApiError, WrongAccount, Unusable) as error:
                self._troubled(error)
                if isinstance(error, Refused):
                    wait_s = error.retry_after_s
            await self._context.pauses.wait(wait_s)

    async def _receive(self, inbox: Inbox) -> None:
        api = await self._signed_in()
        room_id = await self._room_id(api)
        position = await self._look_around(api, room_id, inbox)
        self._working()
        committing: asyncio.Future[None] | None = None
        empty = 0
        while True:
            asked = asyncio.get_running_loop().time()
            answer = await self._poll(api, room_id, position.since)
            moved = await self._take_in(api, position, answer, inbox)
            if answer.place == "invite":
                await self._join(api, room_id)
            self._working()
            if moved is not None:
                # The next poll runs while this is being committed; no third one does.
                if committing is not None:
                    await committing
                committing, empty = moved, 0
            else:
                quick = asyncio.get_running_loop().time() - asked < QUICK_S
                empty = empty + 1 if quick else 0
            position = self._position = replace(self._position or position, since=answer.next_batch)
            if empty > QUICK_LIMIT:
                await asyncio.sleep(QUICK_S)

    async def _signed_in(self) -> Api:
        if self._api is None:
            self._api = Api(await base_url_of(self._homeserver))
        self._account.sign(self._api)
        await self._account.verify(self._api)
        return self._api

    async def _room_id(self, api: Api) -> str:
        """The room's id, looked up if the roster has an alias ("GET /directory/room")."""
        if self._place.startswith("!"):
            return self._place
        try:
            answer = await api.request("GET", path("directory", "room", self._place))
        except Refused as refusal:
            if refusal.status == 404 and refusal.errcode == "M_NOT_FOUND":
                raise Unusable(
                    f"there is no room {self._place}; mend connector.matrix.room_id in the roster"
                ) from None
            raise
        room_id = answer.get("room_id")
        if not isinstance(room_id, str):
            raise Refused(200, "", f"the lookup of {self._place} gave no room")
        return room_id

    async def _poll(
        self, api: Api, room_id: str, since: str | None, *, timeout_ms: int = POLL_MS
    ) -> Answer:
        limit = TIMELINE_LIMIT if since is not None else 1
        where = sync_path(room_id, since=since, limit=limit, timeout_ms=timeout_ms)
        token = api.token
        try:
            raw = await api.request("GET", where, timeout_s=timeout_ms / 1000 + OVERDUE_S)
        except Refused as refusal:
            if refusal.logged_out and await self._account.renew(api, token):
                return await self._poll(api, room_id, since, timeout_ms=timeout_ms)
            raise
        answer = parse_answer(raw, room_id)
        if answer is None:
            raise Refused(200, "", "to /sync with something else than an answer to it")
        return answer

    async def _look_around(self, api: Api, room_id: str, inbox: Inbox) -> Position:
        """See how the room stands now, join it if invited, and where to go on from.

        A first contact begins here: what was said before is not delivered.
        """
        answer = await self._poll(api, room_id, None, timeout_ms=0)
        reader = self._new_reader(room_id)
        if answer.place == "join":
            for raw in (*answer.state, *answer.timeline):
                reader.room.apply(raw)
            if reader.room.membership is None:
                reader.room.membership = "join"
        elif answer.place is not None:
            for raw in (*answer.state, *answer.timeline):
                reader.room.apply(raw)
        self._reader = reader
        position = self._position
        if position is None or position.room_id != room_id:
            seen: list[str] = []
            if answer.place == "join":
                seen = reader.read(reader.digest(answer.timeline)).seen
            position = Position(answer.next_batch, room_id).moved(answer.next_batch, seen)
            await inbox.commit(Batch(position=position.encode()))
            self._position = position
        if answer.place == "invite":
            await self._join(api, room_id)
        return position

    def _new_reader(self, room_id: str) -> Reader:
        room = Room(room_id, self._account.user_id)
        return Reader(room, self._allowed, self._context.counts)

    async def _join(self, api: Api, room_id: str) -> None:
        """Accept the invitation; the next answers bring the room."""
        try:
            await api.request("POST", path("join", room_id), body={})
        except Refused as refusal:
            if not refusal.final:
                raise
            raise Unusable(f"cannot join room {room_id}: {refusal}; invite it again") from None
        log.info("joined the room", room=room_id)

    async def _take_in(
        self, api: Api, position: Position, answer: Answer, inbox: Inbox
    ) -> asyncio.Future[None] | None:
        """Journal what an answer brought, gap first; None if it brought nothing."""
        if answer.place is None or not (answer.state or answer.timeline or answer.limited):
            return None
        reader = self._reader
        entering = not position.anchors
        for raw in answer.state:
            reader.room.apply(raw)
        if answer.place == "invite":
            return None
        timeline = answer.timeline
        entrance = _entrance(timeline, self._account.user_id) if entering else None
        if entrance is not None:  # we joined just now: what was said before is not for us
            timeline = timeline[entrance:]
        elif answer.limited:
            position = await self._fill(api, position, answer, inbox)
        read = reader.read(reader.digest(timeline))
        if answer.place == "leave" and reader.room.membership == "join":
            reader.room.membership = "leave"  # Conduit's kind says no more than the heading
        elif answer.place == "join" and reader.room.membership != "join":
            reader.room.membership = "join"
        moved = position.moved(answer.next_batch, read.seen)
        self._position = moved
        if not read.seen:
            return None
        return inbox.commit(
            Batch(events=read.events, position=moved.encode(), confirmations=read.confirmations)
        )

    async def _fill(self, api: Api, position: Position, answer: Answer, inbox: Inbox) -> Position:
        """Journal what lies between the last answer and this one, oldest first.

        The position stays where it was until the whole gap is in: a crash begins it again, and
        what is in already is known by its id.
        """
        known = frozenset(position.anchors)
        reader = self._reader
        seen: list[str] = []

        def stop(raw: Any) -> bool:
            if known:
                return mapping_of(raw).get("event_id") in known
            return _entrance([raw], self._account.user_id) is not None

        start = answer.prev_batch or answer.next_batch
        try:
            async for page in history.missing(
                api, position.room_id, start, position.since, stop, reader.digest
            ):
                read = reader.read(page)
                seen = (seen + read.seen)[-100:]
                await inbox.commit(Batch(read.events, None, read.confirmations))
        except Refused as refusal:
            if not refusal.final:
                raise
            gap = GapEvent(
                time=rfc3339(time.time()),
                connector=KIND,
                detail=f"some events cannot be fetched: {refusal}",
            )
            log.warning("a gap cannot be filled", reason=str(refusal))
            await inbox.commit(Batch([gap]))
        return position.moved(position.since, seen)

    # -- sending ------------------------------------------------------------------------------

    def mark(self) -> str:
        """Who sends, when, and where the room's history stood."""
        position = self._position
        return Mark(
            self._account.device_id,
            time.time(),
            None if position is None else position.since,
            () if position is None else position.anchors[-2:],
        ).encode()

    async def send(self, part: OutboundPart) -> SendResult:
        """PUT the part under its transaction id ("PUT …/send/{eventType}/{txnId}").

        The homeserver takes a repeated transaction id of one login for the same event, for a day.
        After that, or after another login, the room's history is asked first.
        """
        api, room_id = self._ready()
        if part.earlier_attempt is not None and not self._remembered(part.earlier_attempt):
            found = await self.look_up(part)
            if found is not None:
                return found
        thread_id = part.message.draft.thread_id
        content = message_content(part, latest_in_thread=self._reader.latest(thread_id))
        where = path("rooms", room_id, "send", "m.room.message", part.transaction_id)
        token = api.token
        try:
            answer = await api.request("PUT", where, body=content)
        except Unreachable as error:
            kind = SendDeferred if error.never_sent else SendAmbiguous
            raise kind(f"cannot reach the homeserver: {error}") from None
        except Refused as refusal:
            raise await self._send_error(api, room_id, refusal, token) from None
        event_id = answer.get("event_id")
        if not isinstance(event_id, str) or not event_id:
            raise SendAmbiguous("the homeserver answered without an event id")
        self._reader.note_latest(thread_id, event_id)
        return SendResult(event_id)

    def _ready(self) -> tuple[Api, str]:
        """What sending needs; never into a room that must not be written to."""
        verdict = self._reader.room.verdict(self._allowed)
        if self._api is None or self._position is None:
            raise SendDeferred("not connected to the homeserver yet")
        if verdict is not None:
            raise SendDeferred(verdict.detail)
        return self._api, self._position.room_id

    def _remembered(self, attempt: str) -> bool:
        """Whether the homeserver still knows the transaction id of an attempt."""
        mark = Mark.decode(attempt)
        age_s = time.time() - mark.at
        return mark.device_id == self._account.device_id and -60 < age_s < REPEAT_WITHIN_S

    async def _send_error(
        self, api: Api, room_id: str, refusal: Refused, token: str | None
    ) -> SendError:
        """What became of an attempt that the homeserver answered with an error."""
        if refusal.logged_out:
            try:
                if not await self._account.renew(api, token):
                    self._troubled(refusal)
            except ApiError as error:
                self._troubled(error)
            return SendDeferred(str(refusal))
        if refusal.status == 429:
            return SendDeferred(str(refusal), retry_after_s=refusal.retry_after_s)
        if refusal.status == 403 and not await self._joined(api, room_id):
            return SendDeferred(str(refusal))
        if refusal.final:
            return SendRefused(str(refusal))
        return SendAmbiguous(str(refusal))

    async def _joined(self, api: Api, room_id: str) -> bool:
        """Whether the homeserver says that we are in the room; if not, health says so too."""
        try:
            answer = await api.request("GET", path("joined_rooms"))
        except ApiError as error:
            self._troubled(error)
            return False
        rooms = answer.get("joined_rooms")
        if isinstance(rooms, list) and room_id in rooms:
            return True
        if self._reader.room.membership == "join":
            self._reader.room.membership = "leave"
        verdict = self._reader.room.verdict(self._allowed)
        self._show(status="down", detail=None if verdict is None else verdict.detail)
        return False

    async def look_up(self, part: OutboundPart) -> SendResult | None:
        """Look for the part in the room's history, back to where its first attempt was made."""
        api, room_id = self._ready()
        mark = Mark.decode(part.earlier_attempt or Mark(None, 0.0, None).encode())
        me, wanted = self._account.user_id, part.transaction_id

        def mine(raw: Any) -> bool:
            return mapping_of(raw).get("sender") == me and own_transaction(raw) == wanted

        try:
            event_id = await history.find_own(api, room_id, mark.since, mark.anchors, mine)
        except ApiError as error:
            raise SendDeferred(f"cannot look up whether it arrived: {error}") from None
        return None if event_id is None else SendResult(event_id)

    async def mark_read(self, event_id: str) -> None:
        """Show that everything up to `event_id` was read ("Receipts"); best effort."""
        if self._api is None or self._position is None:
            return
        where = path("rooms", self._position.room_id, "receipt", "m.read", event_id)
        try:
            await self._api.request("POST", where, body={})
        except ApiError as error:
            log.debug("cannot send a read receipt", reason=str(error))


def _entrance(timeline: Sequence[Any], me: str) -> int | None:
    """Where in a timeline we joined the room; None if that is not in it."""
    for number in range(len(timeline) - 1, -1, -1):
        raw = mapping_of(timeline[number])
        if raw.get("type") == "m.room.member" and raw.get("state_key") == me:
            return number
    return None
