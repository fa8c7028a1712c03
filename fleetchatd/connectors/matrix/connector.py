"""The Matrix connector: `/sync` in, the way out (outgoing.py), and what health can truthfully say.

subscribe:  sign in ─▶ look around ─▶ poll ─▶ take in (intake.py) ─┐
               ▲ any error, after a pause  ▲───────────────────────┘
"""

from __future__ import annotations

import asyncio
import collections
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import structlog

from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.connectors.matrix import split
from fleetchatd.connectors.matrix.account import Account, WrongAccount
from fleetchatd.connectors.matrix.api import Api, ApiError, Refused, Unreachable, base_url_of, path
from fleetchatd.connectors.matrix.events import KIND
from fleetchatd.connectors.matrix.intake import Intake, ids_of
from fleetchatd.connectors.matrix.outgoing import Outgoing
from fleetchatd.connectors.matrix.position import Position
from fleetchatd.connectors.matrix.reader import Reader
from fleetchatd.connectors.matrix.room import Room
from fleetchatd.connectors.matrix.rooms import find_room
from fleetchatd.connectors.matrix.settings import SCHEMA, SECRETS
from fleetchatd.connectors.matrix.sync import Answer, parse_answer, sync_path
from fleetchatd.errors import ElsewhereError, SendDeferred
from fleetchatd.model import (
    Batch,
    ConnectorHealth,
    Format,
    HealthStatus,
    OutboundPart,
    SendResult,
)

POLL_MS = 30_000
TIMELINE_LIMIT = 100
"""More is not given at once (Synapse caps it there), whatever a filter asks."""

OVERDUE_S = 15.0
"""How long after its end a poll may take before the receiver counts as deaf, in seconds."""

AT_ONCE = 4
"""How many answers may wait for the disk while the next one is fetched."""

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
        self._account = Account(settings, context)
        self._outgoing = Outgoing(self._account, self._troubled, self._left)
        self._api: Api | None = None
        self._intake: Intake | None = None
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

    @property
    def _room(self) -> Room:
        """The room as it is known; nothing is, before the first contact."""
        if self._intake is None:
            return Room(self._place, self._account.user_id)
        return self._intake.reader.room

    def _show(self, **changes: Any) -> None:
        before, self._health = self._health, replace(self._health, **changes)
        if not self._health.same_as(before):
            self._context.health_changed()

    def _working(self) -> None:
        """An answer came and the room can be used."""
        self._context.pauses.succeeded()
        room = self._room
        verdict = room.verdict(self._allowed)
        status: HealthStatus = "ok" if verdict is None else "down"
        self._show(
            status=status,
            reachable=True,
            authenticated=True,
            receiving=room.membership == "join",
            detail=None if verdict is None else verdict.detail,
            last_receive=asyncio.get_running_loop().time(),
        )

    def _troubled(self, error: ApiError | WrongAccount | ElsewhereError | Unusable) -> None:
        """Receiving does not work; say why, and whether a person must act."""
        if isinstance(error, WrongAccount):
            wrong = (
                f"the access token belongs to {error}, and the roster says "
                f"{self._account.user_id}; put the right one in its place"
            )
            self._show(
                status="down", reachable=True, authenticated=False, receiving=False, detail=wrong
            )
        elif isinstance(error, ElsewhereError):
            self._show(status="down", authenticated=False, receiving=False, detail=str(error))
        elif isinstance(error, Unusable):
            self._show(
                status="down",
                reachable=True,
                authenticated=True,
                receiving=False,
                detail=str(error),
            )
        elif isinstance(error, Refused) and error.unwelcome:
            self._show(
                status="down",
                reachable=True,
                authenticated=False,
                receiving=False,
                detail=f"the homeserver refuses the access token ({_reason(error)}); "
                "run `fleetchat login matrix`, or give another ($MATRIX_ACCESS_TOKEN, or the "
                "credential of that name), and reload",
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
        self._intake = None
        start = None if encoded is None else Position.decode(encoded)
        while True:
            wait_s = None
            try:
                await self._receive(inbox, start)
            except (ApiError, WrongAccount, ElsewhereError, Unusable) as error:
                self._troubled(error)
                if isinstance(error, Refused):
                    wait_s = error.patience_s
            await self._context.pauses.wait(wait_s)

    async def _receive(self, inbox: Inbox, start: Position | None) -> None:
        api = await self._signed_in()
        room_id = await self._room_id(api)
        position = start if self._intake is None else self._intake.position
        intake = self._intake = await self._look_around(api, room_id, inbox, position)
        self._working()
        committing: collections.deque[asyncio.Future[None]] = collections.deque()
        empty = 0
        while True:
            asked = asyncio.get_running_loop().time()
            answer = await self._next_answer(api, intake)
            moved = await intake.take_in(api, answer)
            if answer.place == "invite":
                await self._join(api, room_id)
            self._working()
            if moved is not None:
                # The next polls run while this is being committed, so that some share a commit.
                committing.append(moved)
                if len(committing) > AT_ONCE:
                    await committing.popleft()
                empty = 0
            else:
                quick = asyncio.get_running_loop().time() - asked < QUICK_S
                empty = empty + 1 if quick else 0
            if empty > QUICK_LIMIT:
                await asyncio.sleep(QUICK_S)

    async def _signed_in(self) -> Api:
        if self._api is None:
            self._api = Api(await base_url_of(self._homeserver))
        self._account.sign(self._api)
        await self._account.verify(self._api)
        return self._api

    async def _room_id(self, api: Api) -> str:
        """The room's id, looked up if the roster has an alias."""
        room_id = self._place if self._place.startswith("!") else await find_room(api, self._place)
        if room_id is None:
            raise Unusable(
                f"there is no room {self._place}; mend connector.matrix.room_id in the roster"
            )
        return room_id

    async def _next_answer(self, api: Api, intake: Intake) -> Answer:
        """What is new in the room, as soon as there is something."""
        position = intake.position
        if position.since is not None:
            try:
                return await self._poll(api, position.room_id, position.since)
            except Refused as refusal:
                if refusal.status != 400:
                    raise
                log.warning("the homeserver knows our place no more", reason=str(refusal))
        # The last events that are known tell where to go on.
        intake.position = replace(position, since=None)
        return replace(await self._poll(api, position.room_id, None), limited=True)

    async def _poll(self, api: Api, room_id: str, since: str | None) -> Answer:
        """Ask for what is new, or without `since` for how the room stands now."""
        where = sync_path(
            room_id,
            since=since,
            limit=1 if since is None else TIMELINE_LIMIT,
            timeout_ms=0 if since is None else POLL_MS,
            nonce=secrets.token_hex(4) if since is None else "",
        )
        token = api.token
        try:
            raw = await api.request("GET", where, timeout_s=POLL_MS / 1000 + OVERDUE_S)
        except Refused as refusal:
            if refusal.logged_out and await self._account.renew(api, token):
                return await self._poll(api, room_id, since)
            raise
        answer = parse_answer(raw, room_id)
        if answer is None:
            raise Refused(200, "", "to /sync with something else than an answer to it")
        return answer

    async def _look_around(
        self, api: Api, room_id: str, inbox: Inbox, position: Position | None
    ) -> Intake:
        """See how the room stands now, join it if invited, and where to go on from.

        A first contact begins here: what was said before is not delivered.
        """
        answer = await self._poll(api, room_id, None)
        reader = Reader(Room(room_id, self._account.user_id), self._allowed, self._context.counts)
        for raw in (*answer.state, *answer.timeline):
            reader.room.apply(raw)
        if answer.place == "join":
            reader.room.membership = "join"
        if position is None or position.room_id != room_id:
            seen = ids_of(answer.timeline) if answer.place == "join" else ()
            position = Position(
                answer.next_batch,
                room_id,
                tuple(seen),
                reader.room.rules,
                inside=answer.place == "join",
            )
            await inbox.commit(Batch(position=position.encode()))
        if answer.place == "invite":
            await self._join(api, room_id)
        return Intake(reader, position, inbox)

    async def _join(self, api: Api, room_id: str) -> None:
        """Accept the invitation; the next answers bring the room."""
        try:
            await api.request("POST", path("join", room_id), body={})
        except Refused as refusal:
            if not refusal.final:
                raise
            raise Unusable(f"cannot join room {room_id}: {refusal}; invite it again") from None
        log.info("joined the room", room=room_id)

    # -- sending ------------------------------------------------------------------------------

    def mark(self) -> str:
        """Who sends, when, and where the room's history stood."""
        return self._outgoing.mark(None if self._intake is None else self._intake.position)

    async def send(self, part: OutboundPart) -> SendResult:
        """PUT the part, unless the room's history says that it is there already."""
        if self._outgoing.must_look_up(part):
            found = await self.look_up(part)
            if found is not None:
                return found
        api, intake = self._ready()
        if not self._health.receiving:  # then nobody tells us that the room was encrypted
            await self._outgoing.see_encryption(api, intake.reader.room)
            api, intake = self._ready()
        return await self._outgoing.send(api, intake, part)

    async def look_up(self, part: OutboundPart) -> SendResult | None:
        """Look for the part in the room's history, back to where its first attempt was made."""
        return await self._outgoing.look_up(*self._ready(), part)

    def _ready(self) -> tuple[Api, Intake]:
        """What sending needs; never for a room that must not be written to."""
        if self._api is None or self._intake is None:
            raise SendDeferred("not connected to the homeserver yet")
        verdict = self._room.verdict(self._allowed)
        if verdict is not None:
            raise SendDeferred(verdict.detail)
        return self._api, self._intake

    def _left(self) -> None:
        """The homeserver says that we are not in the room."""
        if self._room.membership == "join":
            self._room.membership = "leave"
        verdict = self._room.verdict(self._allowed)
        detail = None if verdict is None else verdict.detail
        self._show(status="down", receiving=False, detail=detail)

    async def mark_read(self, event_id: str) -> None:
        """Show that everything up to `event_id` was read ("Receipts"); best effort."""
        if self._api is None or self._intake is None:
            return
        where = path("rooms", self._intake.position.room_id, "receipt", "m.read", event_id)
        try:
            await self._api.request("POST", where, body={})
        except ApiError as error:
            log.debug("cannot send a read receipt", reason=str(error))


def _reason(refusal: Refused) -> str:
    return f"{refusal.errcode}: {refusal.reason}" if refusal.reason else refusal.errcode
