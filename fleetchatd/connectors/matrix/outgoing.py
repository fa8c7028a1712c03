"""Parts on their way to the room: each is one event there, under a transaction id of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fleetchatd.connectors.matrix import history
from fleetchatd.connectors.matrix.account import Account, WrongAccount
from fleetchatd.connectors.matrix.api import Api, ApiError, Refused, Unreachable, path
from fleetchatd.connectors.matrix.content import message_content
from fleetchatd.connectors.matrix.events import id_of, own_transaction
from fleetchatd.connectors.matrix.intake import Intake
from fleetchatd.connectors.matrix.position import Mark, Position
from fleetchatd.connectors.matrix.room import Room
from fleetchatd.connectors.untrusted import mapping_of
from fleetchatd.errors import (
    ElsewhereError,
    SendAmbiguous,
    SendDeferred,
    SendError,
    SendRefused,
    SendUnknown,
)
from fleetchatd.model import OutboundPart, SendResult

REPEAT_WITHIN_S = 20 * 3600.0
"""How long a transaction id is trusted to be remembered; servers forget after a day."""


class Outgoing:
    """Sends, and looks up what was sent.

    Args:
        account: who sends.
        troubled: is told of an error that says more than what became of a part.
        left: is told that the homeserver says we are not in the room.
    """

    def __init__(
        self,
        account: Account,
        troubled: Callable[[ApiError | WrongAccount | ElsewhereError], None],
        left: Callable[[], None],
    ) -> None:
        self._account = account
        self._troubled = troubled
        self._left = left

    def mark(self, position: Position | None) -> str:
        """Who sends, when, and where the room's history stood; None before the first contact."""
        device_id, now = self._account.device_id, time.time()
        if position is None:
            return Mark(device_id, now, None).encode()
        return Mark(device_id, now, position.since, position.anchors[-2:]).encode()

    def must_look_up(self, part: OutboundPart) -> bool:
        """Whether the homeserver may have forgotten the transaction id of an earlier attempt.

        It takes a repeated one of one login for the same event, for a day. After that, or after
        another login, the room's history is asked first.
        """
        if part.earlier_attempt is None:
            return False
        mark = Mark.decode(part.earlier_attempt)
        age_s = time.time() - mark.at
        return mark.device_id != self._account.device_id or not -60 < age_s < REPEAT_WITHIN_S

    async def send(self, api: Api, intake: Intake, part: OutboundPart) -> SendResult:
        """PUT the part under its transaction id ("PUT …/send/{eventType}/{txnId}").

        Raises:
            SendError: what became of it.
        """
        room_id, reader = intake.position.room_id, intake.reader
        thread_id = part.message.draft.thread_id
        content = message_content(part, latest_in_thread=reader.latest(thread_id))
        where = f"{path('rooms', room_id, 'send', 'm.room.message')}/{part.transaction_id}"
        token = api.token
        try:
            answer = await api.request("PUT", where, body=content)
        except Unreachable as error:
            kind = SendDeferred if error.never_sent else SendAmbiguous
            raise kind(f"cannot reach the homeserver: {error}") from None
        except Refused as refusal:
            raise await self._error(api, room_id, refusal, token) from None
        event_id = id_of(answer.get("event_id"))
        if event_id is None:
            raise SendAmbiguous("the homeserver answered without an event id")
        reader.note_latest(thread_id, event_id)
        return SendResult(event_id)

    async def see_encryption(self, api: Api, room: Room) -> None:
        """Ask whether the room is encrypted by now ("GET …/state/{eventType}/{stateKey}").

        Raises:
            SendDeferred: it cannot be told now.
        """
        try:
            content = await api.request(
                "GET", path("rooms", room.room_id, "state", "m.room.encryption")
            )
        except Refused as refusal:
            # There is no such state; or the PUT will be refused like this, and sees to it.
            if refusal.final or refusal.status in (401, 404):
                return
            raise SendDeferred(str(refusal), retry_after_s=refusal.patience_s) from None
        except Unreachable as error:
            raise SendDeferred(f"cannot reach the homeserver: {error}") from None
        room.apply({"type": "m.room.encryption", "state_key": "", "content": content})

    async def _error(
        self, api: Api, room_id: str, refusal: Refused, token: str | None
    ) -> SendError:
        """What became of an attempt that the homeserver answered with an error."""
        if refusal.logged_out:
            try:
                if not await self._account.renew(api, token):
                    self._troubled(refusal)
            except (ApiError, WrongAccount, ElsewhereError) as error:
                self._troubled(error)
            return SendDeferred(str(refusal))
        if refusal.status == 429:
            return SendDeferred(str(refusal), retry_after_s=refusal.patience_s)
        if refusal.status in (403, 404) and not await self._joined(api, room_id):
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
        if not isinstance(rooms, list):
            return False
        if room_id in rooms:
            return True
        self._left()
        return False

    async def look_up(self, api: Api, intake: Intake, part: OutboundPart) -> SendResult | None:
        """Look for the part in the room's history, back to where its first attempt was made.

        Raises:
            SendDeferred: it cannot be told now.
            SendUnknown: it can never be told.
        """
        room_id = intake.position.room_id
        mark = Mark.decode(part.earlier_attempt or Mark(None, 0.0, None).encode())
        me, wanted = self._account.user_id, part.transaction_id

        def mine(raw: Any) -> bool:
            return mapping_of(raw).get("sender") == me and own_transaction(raw) == wanted

        try:
            event_id = await history.find_own(api, room_id, mark.since, mark.anchors, mine)
        except Refused as refusal:
            reason = f"cannot look up whether it arrived: {refusal}"
            if refusal.final and await self._joined(api, room_id):
                raise SendUnknown(reason) from None
            raise SendDeferred(reason) from None
        except Unreachable as error:
            raise SendDeferred(f"cannot look up whether it arrived: {error}") from None
        return None if event_id is None else SendResult(event_id)
