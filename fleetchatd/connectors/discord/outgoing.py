"""Parts on their way to the channel or one of its threads: each is one message there."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from fleetchatd.connectors.discord import history
from fleetchatd.connectors.discord.content import content_of, message_body
from fleetchatd.connectors.discord.history import Raw
from fleetchatd.connectors.discord.nonce import nonce_of
from fleetchatd.connectors.discord.place import thread_name, thread_parent
from fleetchatd.connectors.discord.position import Mark
from fleetchatd.connectors.discord.raw import id_of
from fleetchatd.connectors.discord.rest import Refused, Rest, RestError, Unreachable
from fleetchatd.connectors.untrusted import mapping_of, text_of
from fleetchatd.errors import SendAmbiguous, SendDeferred, SendRefused, SendUnknown
from fleetchatd.model import OutboundPart, SendResult

REMEMBERED_S = 120.0
"""How long a nonce is trusted to be remembered, in seconds; Discord says "the past few minutes"."""

NONCES = 1024

THREAD_EXISTS = 160004
LOCKED = 50083  # one that is merely archived opens again by itself
UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, MISSING_ACCESS = 10003, 10008, 50001
CLOSED = (UNKNOWN_CHANNEL, MISSING_ACCESS)


class NoAccess(Exception):  # noqa: N818 - reads as the outcome that it is
    """The channel itself is closed to us: nothing can be sent until a person acts."""


class Unwelcome(Exception):  # noqa: N818
    """The token is refused: likewise."""


class Outgoing:
    """Sends, and looks up what was sent.

    Attributes:
        transactions: our nonces of late, and the transaction ids that they stand for.
        newest: the greatest id that our own messages have.

    Args:
        is_sent: whether the journal knows a message as one of ours, by id.
    """

    def __init__(self, channel_id: str, is_sent: Callable[[str], bool]) -> None:
        self.transactions: OrderedDict[str, str] = OrderedDict()
        self.newest = 0
        self._channel_id = channel_id
        self._is_sent = is_sent
        self._threads: set[str] = set()
        self._found: OrderedDict[str, str] = OrderedDict()

    async def send(self, rest: Rest, part: OutboundPart, threads: set[str]) -> SendResult:
        """Send one part.

        Raises:
            SendError: what became of it.
            NoAccess: nothing, as the channel is closed to us.
            Unwelcome: nothing, as the token is refused.
        """
        self._remember(self.transactions, nonce_of(part.transaction_id), part.transaction_id)
        draft = part.message.draft
        if draft.reply_to is not None and id_of(draft.reply_to) is None:
            raise SendRefused(f"cannot reply to {draft.reply_to!r}: that is no message's id")
        place_id = self._channel_id
        if draft.thread_id is not None:
            place_id = await self._thread(rest, draft.thread_id, threads)
        try:
            answer = await rest.ask(
                "POST",
                "/channels/{channel_id}/messages",
                body=message_body(part),
                channel_id=place_id,
            )
        except Unreachable as error:
            kind = SendDeferred if error.never_sent else SendAmbiguous
            raise kind(f"cannot reach Discord: {error}") from None
        except Refused as refusal:
            raise await self._error(rest, refusal, place_id, threads) from None
        message_id = id_of(mapping_of(answer).get("id"))
        if message_id is None:
            raise SendAmbiguous("Discord answered without a message's id")
        return self._sent(part, message_id)

    def _sent(self, part: OutboundPart, message_id: str) -> SendResult:
        self.newest = max(self.newest, int(message_id))
        self._remember(self._found, message_id, part.transaction_id)
        return SendResult(message_id)

    async def _error(
        self, rest: Rest, refusal: Refused, place_id: str, threads: set[str]
    ) -> Exception:
        """What became of an attempt that was answered with an error."""
        if refusal.doubtful:
            return SendAmbiguous(str(refusal))
        if place_id == self._channel_id and refusal.code in CLOSED:
            return NoAccess(str(refusal))
        if refusal.unwelcome:
            return Unwelcome(str(refusal))
        if refusal.code in CLOSED:
            threads.discard(place_id)
            self._threads.discard(place_id)
            try:
                await self._ask_channel(rest)
            except RestError as error:
                return self._hindrance(error, place_id)
        if refusal.status == 429:
            return SendDeferred(str(refusal), retry_after_s=refusal.retry_after_s)
        if refusal.final:
            remedy = "; let somebody unlock the thread" if refusal.code == LOCKED else ""
            return SendRefused(f"{refusal}{remedy}")
        return SendAmbiguous(str(refusal))

    async def _ask_channel(self, rest: Rest) -> None:
        """See whether our channel is there for us. If it is not, no thread of it is.

        Raises:
            RestError: it is not, or that could not be told.
        """
        await rest.ask("GET", "/channels/{channel_id}", channel_id=self._channel_id)

    def _hindrance(self, error: RestError, thread_id: str) -> Exception:
        """Why a part for a thread was not sent, after a question about that thread failed."""
        if not isinstance(error, Refused):
            return SendDeferred(f"cannot reach Discord: {error}")
        if error.code in CLOSED:
            return NoAccess(str(error))
        if error.unwelcome:
            return Unwelcome(str(error))
        if error.final:
            return SendRefused(f"cannot send to thread {thread_id}: {error}")
        return SendDeferred(str(error), retry_after_s=error.retry_after_s)

    # -- threads ----------------------------------------------------------------------------------

    async def _thread(self, rest: Rest, thread_id: str, threads: set[str]) -> str:
        """The thread to send to: there already, or opened on one of the channel's messages.

        Raises:
            SendError: nothing was sent.
            NoAccess: nothing was sent, and the channel is closed to us.
        """
        if thread_id in threads or thread_id in self._threads:
            return thread_id
        if id_of(thread_id) is None or thread_id == self._channel_id:
            raise SendRefused(
                f"cannot send to thread {thread_id!r}: that is no id of a thread or message; take "
                "an event's thread_id or id"
            )
        try:
            if not await self._is_thread(rest, thread_id):
                await self._open_thread(rest, thread_id)
        except RestError as error:
            raise self._hindrance(error, thread_id) from None
        # Not into `threads`: whoever receives knows only those whose past is journalled.
        self._threads.add(thread_id)
        return thread_id

    async def _is_thread(self, rest: Rest, thread_id: str) -> bool:
        """Whether it is one of our channel's; False if there is no such channel at all.

        Raises:
            SendRefused: it is another channel, or stands in another.
            RestError: it could not be told.
        """
        try:
            channel = await rest.ask("GET", "/channels/{channel_id}", channel_id=thread_id)
        except Refused as refusal:
            if refusal.status == 404:
                return False
            if refusal.code != MISSING_ACCESS:
                raise
            await self._ask_channel(rest)
        else:
            _demand(channel, thread_id)
            if thread_parent(channel) == self._channel_id:
                return True
        raise SendRefused(f"cannot send to thread {thread_id}: it is not in our channel")

    async def _open_thread(self, rest: Rest, message_id: str) -> None:
        """Open a thread on a message ("Start Thread from Message"); that it exists is as good."""
        name = thread_name(await self._header(rest, message_id))
        try:
            thread = await rest.ask(
                "POST",
                "/channels/{channel_id}/messages/{message_id}/threads",
                body={"name": name},
                channel_id=self._channel_id,
                message_id=message_id,
            )
            _demand(thread, message_id)
        except Refused as refusal:
            if refusal.code == UNKNOWN_MESSAGE:
                raise _no_thread(message_id) from None
            if refusal.code != THREAD_EXISTS:
                raise

    async def _header(self, rest: Rest, message_id: str) -> Any:
        """The message that a thread is to stand on; nothing if we may not read it."""
        try:
            return await rest.ask(
                "GET",
                "/channels/{channel_id}/messages/{message_id}",
                channel_id=self._channel_id,
                message_id=message_id,
            )
        except Refused as refusal:
            if refusal.code == UNKNOWN_MESSAGE:
                raise _no_thread(message_id) from None
            if refusal.status not in (403, 404, 405):
                raise
            return None

    # -- looking up -------------------------------------------------------------------------------

    def must_look_up(self, part: OutboundPart, me: str) -> bool:
        """Whether an earlier attempt is one that Discord's memory of nonces may not cover."""
        if part.earlier_attempt is None:
            return False
        mark = Mark.decode(part.earlier_attempt)
        return mark.me != me or not -1 <= time.time() - mark.at < REMEMBERED_S

    async def look_up(self, rest: Rest, part: OutboundPart, *, readable: bool) -> SendResult | None:
        """Look for the part among our messages after its first attempt.

        The history tells no nonces, so it is known by its words; another part's message is not
        taken for it.

        Raises:
            SendDeferred: it cannot be told now.
            SendUnknown: it can never be told.
        """
        if not readable:
            raise SendUnknown("cannot look up whether it arrived: the history is closed to the bot")
        mark = Mark.decode(part.earlier_attempt or Mark(None, time.time(), 0).encode())
        me, wanted = mark.me or rest.me, content_of(part).strip()

        def mine(raw: Raw) -> bool:
            if mapping_of(raw.get("author")).get("id") != me:
                return False
            if text_of(raw.get("content")).strip() != wanted:
                return False
            taken = self._found.get(str(raw["id"]))
            return taken == part.transaction_id or (
                taken is None and not self._is_sent(str(raw["id"]))
            )

        place_id = part.message.draft.thread_id or self._channel_id
        try:
            message_id = await history.find_own(rest, place_id, mark.begin(), mine)
        except Refused as refusal:
            if refusal.code == UNKNOWN_CHANNEL and place_id != self._channel_id:
                return None  # a thread that was never opened
            reason = f"cannot look up whether it arrived: {refusal}"
            if refusal.final and place_id != self._channel_id and await self._is_there(rest):
                raise SendUnknown(reason) from None
            raise SendDeferred(reason) from None
        except RestError as error:
            raise SendDeferred(f"cannot look up whether it arrived: {error}") from None
        return None if message_id is None else self._sent(part, message_id)

    async def _is_there(self, rest: Rest) -> bool:
        """Whether our channel certainly is there for us."""
        try:
            await self._ask_channel(rest)
        except RestError:
            return False
        return True

    @staticmethod
    def _remember(memory: OrderedDict[str, Any], key: str, value: str) -> None:
        memory[key] = value
        memory.move_to_end(key)
        if len(memory) > NONCES:
            memory.popitem(last=False)


def _demand(channel: object, channel_id: str) -> None:
    """See that an answer is the channel that was asked for, whatever stands between us.

    Raises:
        Refused: not for good; it is not.
    """
    if mapping_of(channel).get("id") != channel_id:
        raise Refused(200, 0, "with something else than the channel that was asked for")


def _no_thread(thread_id: str) -> SendRefused:
    return SendRefused(
        f"cannot send to thread {thread_id}: our channel has no such thread, and no such message "
        "to open one on"
    )
