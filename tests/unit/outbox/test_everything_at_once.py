"""Lanes under everything at once: faults of chat and disk, stops, cancels, retries, switches."""

from __future__ import annotations

import asyncio
import random

import pytest

from fleetchatd.connectors import pauses
from fleetchatd.errors import JournalError, SendAmbiguous, SendDeferred, SendError, SendRefused
from fleetchatd.model import Message, OutboundPart, SendResult, State
from fleetchatd.outbox import lane as lane_module
from tests.unit.chat import KnowingChat, Office
from tests.unit.journal.conftest import events
from tests.unit.journal.faulty import FaultyJournal

THREADS = (None, "a", "b")
COUNT = 80


class UnreliableChat(KnowingChat):
    """Does to every tenth send or so what chats do.

    Attributes:
        arrivals: what people saw, thread by thread.
        refused: transaction ids that were refused at least once.
    """

    def __init__(self, office: Office, chance: random.Random) -> None:
        super().__init__(office.context)
        self.chance = chance
        self.trouble = True
        self.refused: set[str] = set()

    async def send(self, part: OutboundPart) -> SendResult:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if self.trouble and self.chance.random() < 0.2:
            fault, arrived = self._fault(part)
            self.fail_next(fault, arrived=arrived)
        return await super().send(part)

    async def look_up(self, part: OutboundPart) -> SendResult | None:
        remote = self._remote_ids.get(part.transaction_id)
        return None if remote is None else SendResult(remote)

    def _fault(self, part: OutboundPart) -> tuple[Exception, bool]:
        kind = self.chance.choice(["deferred", "ambiguous", "lost answer", "broken", "refused"])
        if kind == "refused" and part.earlier_attempt is None:
            self.refused.add(part.message.id)
            return SendRefused("no"), False
        faults: dict[str, SendError | ValueError] = {
            "deferred": SendDeferred("later"),
            "broken": ValueError("a bug"),
        }
        return faults.get(kind, SendAmbiguous("lost")), kind == "lost answer"

    def seen(self, thread_id: str | None) -> list[str]:
        return [part.text for part in self.sent if part.message.draft.thread_id == thread_id]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "FIRST_S", 0.002)
    monkeypatch.setattr(pauses, "LONGEST_S", 0.01)
    monkeypatch.setattr(lane_module, "SLOW_S", 0.01)
    monkeypatch.setattr("fleetchatd.outbox.ends.RESETTLE_S", 0.005)


class Story:
    """What is done to one outbox, by chance, until everything has come to its end."""

    def __init__(self, office: Office, seed: int) -> None:
        self.office = office
        self.chance = random.Random(seed)
        self.chat = UnreliableChat(office, self.chance)
        self.accepted: list[Message] = []
        self.cancelled: set[str] = set()
        self.retried: set[str] = set()

    async def unfold(self) -> None:
        self.office.attach(self.chat)
        while len(self.accepted) < COUNT:
            await self.chance.choice(
                [self.burst, self.burst, self.burst, self.cancel, self.retry, self.disk, self.stop]
            )()
        self.chat.trouble = False
        self.journal.fail("nothing", 0)
        for message in self.accepted:
            await self.office.final(message)
        await self.office.outbox.ends.until_settled()  # the disk knows an end before the loop does

    @property
    def journal(self) -> FaultyJournal:
        assert isinstance(self.office.journal, FaultyJournal)
        return self.office.journal

    async def burst(self) -> None:
        """A few messages at once; what could not be taken in is no message."""
        first = len(self.accepted)
        texts = [str(first + number) for number in range(self.chance.randrange(1, 30))]
        taken = await asyncio.gather(
            *(self.office.send(text, thread_id=self.chance.choice(THREADS)) for text in texts),
            return_exceptions=True,
        )
        self.accepted += [one for one in taken if isinstance(one, Message)]
        assert all(isinstance(one, Message | JournalError) for one in taken)

    async def cancel(self) -> None:
        await self._ask(self.office.outbox.cancel, self.cancelled)

    async def retry(self) -> None:
        await self._ask(self.office.outbox.retry, self.retried)

    async def _ask(self, what: object, done: set[str]) -> None:
        assert callable(what)
        for message in self.chance.sample(self.accepted, min(5, len(self.accepted))):
            try:
                if await what(message.id) is not None:
                    done.add(message.id)
            except JournalError:
                continue

    async def disk(self) -> None:
        self.journal.fail(self.chance.choice(["COMMIT", "BEGIN", "UPDATE messages"]))
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """A stop, with or without patience, and the next start."""
        await self.office.outbox.detach(self.chance.choice([0.0, 5.0]))
        self.office.attach(self.chat)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_every_message_comes_to_its_end_once_and_in_order(
    idle: Office, seed: int
) -> None:
    story = Story(idle, seed)
    async with asyncio.timeout(60):
        await story.unfold()
    seen = [part.message.id for part in story.chat.sent]
    assert len(seen) == len(set(seen))
    ends = {message.id: idle.look(message) for message in story.accepted}
    delivered = {key for key, end in ends.items() if end.state is State.DELIVERED}
    assert delivered == set(seen)
    not_delivered = set(ends) - delivered
    assert not_delivered <= story.chat.refused | story.cancelled
    out_of_turn = story.retried | story.chat.refused | story.cancelled
    for thread in THREADS:
        came = [
            part.message.order
            for part in story.chat.sent
            if part.message.draft.thread_id == thread and part.message.id not in out_of_turn
        ]
        assert came == sorted(came)
    told = [event["id"] for event in events(idle.journal) if event["type"] == "delivery"]
    assert set(told) == set(ends)
    assert all(told.count(key) == 1 for key in set(ends) - story.retried)
