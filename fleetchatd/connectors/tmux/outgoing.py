"""What is sent: shown in the console, or typed into the program that is there instead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fleetchatd.connectors.tmux.console_pane import Confirmations, NotConfirmed, NotThere, Paster
from fleetchatd.connectors.tmux.situation import Occupant, Situation
from fleetchatd.connectors.tmux.watch import Watch
from fleetchatd.errors import SendAmbiguous, SendDeferred, SendRefused, SendUnknown
from fleetchatd.model import OutboundPart, SendResult
from fleetchatd.tmux import submission
from fleetchatd.tmux.address import Address, clean, is_tag
from fleetchatd.tmux.errors import GoneError, TmuxError
from fleetchatd.tmux.spool import Names, Spool

CONFIRM_S = 10.0
"""How long the console may take to confirm a message before it is asked again, in seconds."""

UNREAD_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""How long to wait before what a program did not read is typed anew, in seconds; then it fails.

Each time it stands on the screen once more, as far as the terminal echoes it.
"""


class Outgoing:
    """One session's way out: one part at a time is pasted or typed.

    Args:
        names: what both ends are called in an address line.
        spool: has what the console acknowledged.
        confirmations: are woken by what it acknowledges.
        connection: is the pane's present one; None while there is none.
        judge: says how a pane that was just looked at stands.
    """

    def __init__(
        self,
        names: Names,
        spool: Spool,
        confirmations: Confirmations,
        connection: Callable[[], Watch | None],
        judge: Callable[[Watch], Situation],
    ) -> None:
        self._names = names
        self._spool = spool
        self._confirmations = confirmations
        self._connection = connection
        self._judge = judge
        self._paster = Paster(lambda: asyncio.get_running_loop().time())
        self._typing = asyncio.Lock()
        self._unread: dict[str, int] = {}

    def mark(self) -> str:
        """What sort of program the pane holds: it decides what an attempt may have done."""
        return _occupant(self._connection()).value

    async def send(self, part: OutboundPart) -> SendResult:
        """Show the part in the console, or type it into the program that is there instead."""
        message_id, text = part.transaction_id, clean(part.text)
        if self._spool.acknowledged(message_id):
            return SendResult(message_id)
        if part.earlier_attempt == Occupant.PROGRAM:
            raise SendUnknown("fleetchatd ended while it was typed into the pane; look there")
        address = self._addressed(part)
        if not text.strip():
            raise SendRefused("there is nothing to show but blanks and control characters")
        async with self._typing:
            watch, occupant = await self._ready(part)
            if occupant is Occupant.CONSOLE:
                await self._paste(watch, address, text)
            else:
                await self._type(watch, message_id, address.line(text))
                return SendResult(message_id)
        try:
            await self._confirmations.wait(message_id, CONFIRM_S)
        except NotConfirmed as doubt:
            raise SendAmbiguous(str(doubt)) from None
        self._paster.forget(message_id)
        return SendResult(message_id)

    def _addressed(self, part: OutboundPart) -> Address:
        thread_id = part.message.draft.thread_id
        if thread_id is not None and not is_tag(thread_id):
            raise SendRefused(
                "its thread cannot stand in an address line: on tmux, a thread is a word without "
                "blanks, of at most 200 characters"
            )
        return Address(
            source=self._names.orchestrator,
            id=part.transaction_id,
            destination=self._names.operator,
            tag=thread_id,
            event_class="terminal-log" if part.message.draft.format == "plain" else None,
        )

    async def _ready(self, part: OutboundPart) -> tuple[Watch, Occupant]:
        """The pane as it is at this moment; raises unless the part may be sent to it."""
        watch = self._connection()
        if watch is None:
            raise SendDeferred("not connected to tmux")
        try:
            await watch.look()
        except TmuxError as error:
            raise SendDeferred(f"cannot reach the pane: {error}") from None
        present = self._judge(watch)
        if not present.ready:
            raise SendDeferred(present.detail or "nobody is there")
        occupant = _occupant(watch)
        if part.earlier_attempt is not None and occupant is Occupant.PROGRAM:
            raise SendUnknown("it was on its way to the console, and another program is there now")
        if part.message.attempt not in (None, occupant.value):
            raise SendDeferred("what runs in the pane has just changed")
        return watch, occupant

    async def _paste(self, watch: Watch, address: Address, text: str) -> None:
        try:
            await self._paster.paste(watch.client, watch.pane, address, text)
        except NotThere:
            raise SendDeferred("the console has just ended") from None
        except GoneError as error:
            raise SendAmbiguous(f"cannot tell whether it was pasted: {error}") from None
        except TmuxError as error:
            raise SendDeferred(f"cannot paste it: {error}") from None

    async def _type(self, watch: Watch, message_id: str, line: str) -> None:
        times_unread = self._unread.pop(message_id, 0)
        try:
            await submission.submit(watch.client, watch.activity, watch.pane.id, line)
        except submission.Unread as reason:
            if times_unread == len(UNREAD_PAUSES_S):
                raise SendRefused(str(reason)) from None
            self._unread[message_id] = times_unread + 1
            raise SendDeferred(str(reason), retry_after_s=UNREAD_PAUSES_S[times_unread]) from None
        except submission.NotNow as reason:
            raise SendDeferred(str(reason)) from None
        except (submission.Refused, submission.Unverified) as reason:
            raise SendRefused(str(reason)) from None
        except TmuxError as error:
            raise SendDeferred(f"cannot type into the pane: {error}") from None


def _occupant(watch: Watch | None) -> Occupant:
    pane = None if watch is None else watch.pane
    return Occupant.CONSOLE if pane is None or pane.badge is not None else Occupant.PROGRAM
