"""A connector without a network, for tests and demos.

What is sent is kept in a list. The "human" speaks through `say`, or, with `echo`, answers every
message by repeating it. Nothing outlives the process; but ids derive from transaction ids, so a
message that is repeated after a restart still counts as one.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.model import (
    Batch,
    ConnectorHealth,
    Event,
    MessageEvent,
    OutboundPart,
    SendResult,
    rfc3339,
)

SECRETS: tuple[str, ...] = ()

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "echo": {
            "type": "boolean",
            "title": "true or false",
            "description": "Whether every message is answered by repeating it.",
            "default": False,
        },
        "delay_s": {
            "type": "number",
            "title": "a number of seconds from 0 to 60",
            "description": "How long every send takes, in seconds.",
            "default": 0,
            "minimum": 0,
            "maximum": 60,
        },
    },
}


class MemoryConnector:
    """A chat that exists in this process only.

    Attributes:
        sent: every part that arrived, once, in the order of arrival.
    """

    kind: ClassVar[str] = "memory"
    settings_schema: ClassVar[Mapping[str, Any]] = SCHEMA
    secrets: ClassVar[Sequence[str]] = SECRETS

    def __init__(self, context: Context, *, echo: bool, delay_s: float) -> None:
        self.sent: list[OutboundPart] = []
        self._context = context
        self._echo = echo
        self._delay_s = delay_s
        self._remote_ids: dict[str, str] = {}
        self._faults: deque[tuple[Exception, bool]] = deque()
        self._heard: asyncio.Queue[Event | tuple[str, str]] = asyncio.Queue()
        self._receiving = False
        self._last_receive: float | None = None

    @classmethod
    def create(cls, settings: Mapping[str, Any], context: Context) -> Self:
        """Make one from its block in the roster."""
        return cls(
            context,
            echo=settings.get("echo", False),
            delay_s=settings.get("delay_s", 0),
        )

    @property
    def target(self) -> str:
        """There is but one such chat."""
        return "memory"

    async def send(self, part: OutboundPart) -> SendResult:
        """Keep the part; a transaction id that was seen before gets the first one's answer.

        Raises:
            SendError: whatever `fail_next` asked for.
        """
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        fault, arrived = self._faults.popleft() if self._faults else (None, True)
        if arrived:
            self._arrive(part)
        if fault is not None:
            raise fault
        return SendResult(self._remote_ids[part.transaction_id])

    async def subscribe(self, inbox: Inbox) -> None:
        """Hand over what was said, until cancelled."""
        self._set_receiving(True)
        try:
            while True:
                heard = [await self._heard.get()]
                while not self._heard.empty():
                    heard.append(self._heard.get_nowait())
                # Nothing may be awaited between taking and handing over, or a cancel loses it.
                committed = inbox.commit(_batch(heard))
                self._last_receive = asyncio.get_running_loop().time()
                await committed
        finally:
            self._set_receiving(False)

    def health(self) -> ConnectorHealth:
        """Always reachable; receiving while somebody has subscribed."""
        return ConnectorHealth(
            status="ok" if self._receiving else "degraded",
            reachable=True,
            authenticated=True,
            receiving=self._receiving,
            detail=None if self._receiving else "not receiving yet",
            last_receive=self._last_receive,
        )

    def say(
        self,
        text: str,
        *,
        thread_id: str | None = None,
        reply_to: str | None = None,
        sender: str = "human",
        event_id: str | None = None,
    ) -> str:
        """Let `sender` say something in the chat.

        Returns:
            The event's id.
        """
        event = MessageEvent(
            id=event_id or f"memory-say-{uuid.uuid4().hex}",
            time=rfc3339(time.time()),
            connector=self.kind,
            sender=sender,
            sender_name=sender.capitalize(),
            text=text,
            thread_id=thread_id,
            reply_to=reply_to,
        )
        self.receive(event)
        return event.id

    def receive(self, event: Event) -> None:
        """Let `event`, of any type, happen in the chat."""
        self._heard.put_nowait(event)

    def fail_next(self, fault: Exception, *, arrived: bool = False) -> None:
        """Have the next `send` raise `fault`; several wait in line.

        Args:
            fault: what to raise, a `SendError` as a rule.
            arrived: whether the part arrives all the same, as when only the answer is lost.
        """
        self._faults.append((fault, arrived))

    def _arrive(self, part: OutboundPart) -> None:
        if part.transaction_id in self._remote_ids:
            return
        remote_id = f"memory-sent-{part.transaction_id}"
        self._remote_ids[part.transaction_id] = remote_id
        self.sent.append(part)
        self._heard.put_nowait((part.transaction_id, remote_id))
        if self._echo:
            self.say(
                part.text,
                thread_id=part.message.draft.thread_id,
                reply_to=remote_id,
                event_id=f"memory-echo-{part.transaction_id}",
            )

    def _set_receiving(self, receiving: bool) -> None:
        self._receiving = receiving
        self._context.health_changed()


def _batch(heard: Sequence[Event | tuple[str, str]]) -> Batch:
    return Batch(
        events=[item for item in heard if isinstance(item, Event)],
        confirmations=[item for item in heard if not isinstance(item, Event)],
    )
