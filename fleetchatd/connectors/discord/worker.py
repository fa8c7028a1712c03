"""What the gateway told is worked off, one after another: it leaves the line when that is done.

    READY, RESUMED: catch up by REST
    a change of the rules: look around
    all else: through the gate (intake.py)

What fails stays in line, and is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import structlog

from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.connectors.discord.gate import Gate
from fleetchatd.connectors.discord.intake import Intake, look_around
from fleetchatd.connectors.discord.line import CATCHING_UP, OVERFLOW, SAID, THREADS, Dispatch, Line
from fleetchatd.connectors.discord.place import no_access
from fleetchatd.connectors.discord.position import Position
from fleetchatd.connectors.discord.rest import Refused, Rest, RestError
from fleetchatd.connectors.discord.standing import Standing
from fleetchatd.connectors.discord.websocket import unwelcome
from fleetchatd.connectors.untrusted import list_of, mapping_of

CATCH_UP_EVERY_S = 600.0
"""How often the history is asked for what the gateway did not tell, in seconds."""

AT_ONCE = 4
"""How many batches may wait for the disk while the next one is read."""

log = structlog.get_logger("fleetchatd.connector")


class Unusable(Exception):  # noqa: N818 - reads as the outcome that it is
    """A person must act before the channel can be used; the sentence says how."""


class Worker:
    """Works off what stands in line, for one channel.

    Attributes:
        intake: the channel's way to the inbox; None until the channel was seen.
    """

    def __init__(
        self,
        channel_id: str,
        context: Context,
        standing: Standing,
        transactions: Mapping[str, str],
        show: Callable[[], None],
    ) -> None:
        self.intake: Intake | None = None
        self._channel_id = channel_id
        self._context = context
        self._standing = standing
        self._transactions = transactions
        self._show = show
        self._line = Line()
        self._news = asyncio.Event()
        self._catch_up_at = 0.0

    def begin(self) -> tuple[str, int]:
        """Whoever receives begins anew.

        Returns:
            Session and number of the last dispatch that was worked off.
        """
        self._line.clear()
        self.intake = None
        return self._line.taken

    def join(self, dispatch: Dispatch) -> None:
        """Put a dispatch in line."""
        self._line.join(dispatch)
        self._news.set()

    def catch_up_now(self) -> None:
        """Do not wait for the gateway, or for the time."""
        self._catch_up_at = 0.0
        self._news.set()

    def is_elsewhere(self, place_id: object) -> bool:
        """Whether that is known to be neither our channel nor one of its threads."""
        if self.intake is None:  # where the channel itself is not there for us, no thread is ours
            return self._standing.unusable is not None
        return self.intake.is_elsewhere(place_id)

    async def work(self, rest: Rest, inbox: Inbox) -> NoReturn:
        """Work off what stands in line, and what joins it, until cancelled.

        Raises:
            Fatal: it will stand still until a person acts.
        """
        committing: deque[asyncio.Future[None]] = deque()
        loop = asyncio.get_running_loop()
        self._catch_up_at = float("inf")  # until the gateway is ready
        while True:
            self._news.clear()
            try:
                while self._line or loop.time() >= self._catch_up_at:
                    moved = await self._next(rest, inbox)
                    if moved is not None:
                        committing.append(moved)
                        if len(committing) > AT_ONCE:
                            await committing.popleft()
                self._standing.trouble = None
                self._show()
            except (RestError, Unusable) as error:
                await self._context.pauses.wait(self._troubled(error))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._catch_up_at):
                    await self._news.wait()

    def _troubled(self, error: RestError | Unusable) -> float | None:
        """Show why the line stands still; how long to wait at least, in seconds.

        Raises:
            Fatal: it will stand still until a person acts.
        """
        wait_s = None
        if isinstance(error, Unusable):
            self._standing.unusable = str(error)
        elif isinstance(error, Refused):
            if error.unwelcome:
                raise unwelcome(error)
            self._standing.trouble, wait_s = str(error), error.retry_after_s
        else:
            self._standing.trouble = f"cannot reach Discord: {error}"
            self._standing.reachable = False
        self._show()
        return wait_s

    async def _next(self, rest: Rest, inbox: Inbox) -> asyncio.Future[None] | None:
        """Work off what stands first in line; it leaves the line when that is done.

        Returns:
            A commit to wait for, now or later.
        """
        # Before all else: what is said now would move the watermark past what was missed.
        if asyncio.get_running_loop().time() >= self._catch_up_at:
            await self._catch_up(rest, inbox)
            return None
        first = self._line.first
        if self.intake is None and first.name not in CATCHING_UP:
            await self._look(rest, inbox)
        if self.intake is not None and first.name in SAID:
            return await self._take(self.intake)
        if first.name in CATCHING_UP:
            await self._catch_up(rest, inbox)
            if first.name == OVERFLOW and self.intake is not None:
                await self.intake.report_gap("more happened than could be held at once")
        elif first.name in THREADS:
            await self._learn_threads(rest, first.data, gone=first.name == "THREAD_DELETE")
        elif first.name == "GUILD_CREATE":
            await self._learn_guild(first.data)
        else:
            await self._look(rest, inbox)
        self._line.leave(first)
        return None

    async def _take(self, intake: Intake) -> asyncio.Future[None] | None:
        """Journal the messages, and what is told of messages, that stand first in line."""
        said = self._line.said_first()
        for dispatch in said:
            await intake.find_place(dispatch)
        # Nothing may be awaited between the two: a cancel would lose what has left the line.
        self._line.leave(*said)
        moved = intake.take(said)
        self._standing.wordless = intake.gate.wordless
        return moved

    async def _look(self, rest: Rest, inbox: Inbox) -> None:
        """See how the channel stands now.

        Raises:
            RestError: it could not be told.
            Unusable: a person must act.
        """
        try:
            place = await look_around(rest, self._channel_id)
        except Refused as refusal:
            if refusal.final:
                raise Unusable(no_access(self._channel_id)) from None
            raise
        self._standing.place, self._standing.reachable = place, True
        if place.unusable is not None:
            raise Unusable(place.unusable)
        if self._standing.unusable is not None:
            self._standing.unusable = None
            self._catch_up_at = 0.0  # nobody told us what was said meanwhile
        if self.intake is None:
            allowed, counts = self._standing.allowed, self._context.counts
            gate = Gate(rest.me, allowed, counts, place)
            intake = Intake(rest, gate, inbox, self._transactions)
            encoded = await inbox.position()
            if encoded is None:
                await intake.begin()
            else:
                intake.position = Position.decode(encoded)
            self.intake = intake
        self.intake.gate.place = place
        self._show()

    async def _catch_up(self, rest: Rest, inbox: Inbox) -> None:
        """Look around, and journal what the gateway did not tell.

        Raises:
            RestError: it could not be told; what was had is journalled.
            Unusable: a person must act.
        """
        await self._look(rest, inbox)
        assert self.intake is not None
        await self.intake.catch_up(self._line.newest_said())
        self._catch_up_at = asyncio.get_running_loop().time() + CATCH_UP_EVERY_S
        self._standing.caught_up = True
        self._standing.wordless = self.intake.gate.wordless
        self._context.pauses.succeeded()
        self._show()

    async def _learn_guild(self, guild: Mapping[Any, Any]) -> None:
        """Note which channels are not ours, and the active threads that are."""
        if self.intake is not None:
            for raw in (*list_of(guild.get("channels")), *list_of(guild.get("threads"))):
                await self.intake.meet(mapping_of(raw))

    async def _learn_threads(self, rest: Rest, data: Mapping[Any, Any], *, gone: bool) -> None:
        """Note the threads that a dispatch tells of, and join new ones."""
        if self.intake is None:
            return
        if gone:
            self.intake.gate.threads.discard(str(data.get("id")))
            return
        for raw in (data, *list_of(data.get("threads"))):
            thread = mapping_of(raw)
            if await self.intake.meet(thread):
                await self._join(rest, str(thread["id"]))

    async def _join(self, rest: Rest, thread_id: str) -> None:
        try:
            await rest.ask("PUT", "/channels/{channel_id}/thread-members/@me", channel_id=thread_id)
        except RestError as error:  # we hear of public threads all the same
            log.debug("cannot join a thread", reason=str(error), fleetchat_thread_id=thread_id)
