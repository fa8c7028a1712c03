"""The delivery state machine on disk, against a model of ten lines, over crashes and switches."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import Message, State
from tests.unit.journal.conftest import Clock, accepted, events, settle

T = TypeVar("T")
TARGETS = ("one", "two")
THREADS = (None, "a", "b")


@dataclass
class Expected:
    """What must be true of one message."""

    state: State
    thread: str | None
    target: str
    attempted: bool
    parts: int
    out: int = 0
    ends: int = 0
    expires_at: float | None = None

    @property
    def portable(self) -> bool:
        return not (self.attempted or self.out or self.thread)

    def sendable(self, target: str) -> bool:
        return not self.state.final and (self.target == target or self.portable)

    def end(self, state: State) -> None:
        self.state, self.attempted = state, False
        self.ends += 1


class Delivery(RuleBasedStateMachine):
    """Whatever an outbox, clients, a clock and a power cut may do to a journal."""

    messages = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.folder = Path(tempfile.mkdtemp(prefix="delivery-"))
        self.lives = 0
        self.target = TARGETS[0]
        self.model: dict[str, Expected] = {}
        (self.folder / "0").mkdir()
        self.journal = self.run(self._open(self.folder / "0"))

    def run(self, work: Awaitable[T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(10):
                return await work

        return self.loop.run_until_complete(bounded())

    async def _open(self, folder: Path) -> SqliteJournal:
        return SqliteJournal(folder / "journal.db", clock=self.clock)

    def teardown(self) -> None:
        self.run(self.journal.close())
        self.loop.close()
        shutil.rmtree(self.folder)

    def found(self, message_id: str) -> Message:
        message = self.journal.message(message_id)
        assert message is not None
        return message

    # -- what happens -----------------------------------------------------------------------------

    @rule(
        target=messages,
        thread=st.sampled_from(THREADS),
        at_once=st.booleans(),
        parts=st.integers(1, 3),
        expires_s=st.sampled_from([None, None, 5.0]),
    )
    def accept(self, thread: str | None, at_once: bool, parts: int, expires_s: float | None) -> str:
        message = self.run(
            accepted(
                self.journal,
                "x" * parts,
                parts=("x",) * parts,
                mark="mark" if at_once else None,
                target=self.target,
                thread_id=thread,
                expires_s=expires_s,
            )
        )
        state = State.SENDING if at_once else State.QUEUED
        self.model[message.id] = Expected(
            state, thread, self.target, at_once, parts, expires_at=message.expires_at
        )
        return message.id

    @rule(message_id=messages)
    def begin(self, message_id: str) -> None:
        """An attempt by the present target; that it stays ambiguous is no further step."""
        expected = self.model[message_id]
        message = self.found(message_id)
        if not message.state.final and not expected.sendable(self.target):
            return  # no outbox reads it
        moved = replace(message, target=self.target)
        begun = self.run(self.journal.begin_attempts([moved], "later mark"))[0]
        assert (begun is None) == expected.state.final
        if begun is None:
            return
        assert begun.attempt == (message.attempt or "later mark")
        expected.state, expected.attempted = State.SENDING, True
        expected.target = self.target

    @rule(message_id=messages)
    def defer(self, message_id: str) -> None:
        expected = self.model[message_id]
        if expected.state is State.SENDING:
            self.run(self.journal.requeue(self.found(message_id), tried=True))
            expected.state, expected.attempted = State.QUEUED, False

    @rule(message_id=messages)
    def send_part(self, message_id: str) -> None:
        expected = self.model[message_id]
        if expected.state is State.SENDING and expected.attempted:
            expected.out += 1
            message = self.found(message_id).with_remote_id(f"${message_id}.{expected.out}")
            if expected.out < expected.parts:
                self.run(self.journal.part_sent(message))
                expected.attempted = False
            else:
                assert self.run(settle(self.journal, message, State.DELIVERED)) is not None
                expected.end(State.DELIVERED)

    @rule(message_id=messages, state=st.sampled_from([State.FAILED, State.UNKNOWN]))
    def refuse(self, message_id: str, state: State) -> None:
        expected = self.model[message_id]
        settled = self.run(settle(self.journal, self.found(message_id), state, "no"))
        assert (settled is None) == expected.state.final
        if settled is not None:
            expected.end(state)

    @rule(message_id=messages)
    def cancel(self, message_id: str) -> None:
        expected = self.model[message_id]
        cancelled = self.run(self.journal.cancel(message_id, "memory"))
        assert (cancelled is not None) == (expected.state is State.QUEUED)
        if cancelled is not None:
            expected.end(State.FAILED)

    @rule(message_id=messages)
    def retry(self, message_id: str) -> None:
        expected = self.model[message_id]
        again = self.run(self.journal.retry(message_id))
        assert (again is not None) == (expected.state is State.FAILED)
        if again is not None:
            expected.state, expected.expires_at = State.QUEUED, None

    @rule(seconds=st.sampled_from([1.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        due = {message.id for message in self.journal.expired(self.clock.now, 1000)}
        assert due == {
            message_id
            for message_id, expected in self.model.items()
            if not expected.state.final
            and expected.expires_at is not None
            and expected.expires_at <= self.clock.now
        }

    @rule()
    def switch(self) -> None:
        self.target = TARGETS[1 - TARGETS.index(self.target)]

    @rule()
    def crash(self) -> None:
        """The next life finds the files as they are, and nobody closed anything."""
        self.lives += 1
        after = self.folder / str(self.lives)
        after.mkdir()
        for name in ("journal.db", "journal.db-wal"):
            source = self.folder / str(self.lives - 1) / name
            if source.exists():
                shutil.copyfile(source, after / name)
        self.run(self.journal.close())
        self.journal = self.run(self._open(after))

    # -- what is true at every moment -------------------------------------------------------------

    @invariant()
    def every_message_is_where_the_model_says(self) -> None:
        for message_id, expected in self.model.items():
            message = self.found(message_id)
            assert message.state is expected.state
            assert len(message.remote_ids) == expected.out
            assert message.portable == expected.portable
            assert (message.attempt is not None) == expected.attempted

    @invariant()
    def a_thread_is_pending_in_the_order_of_acceptance(self) -> None:
        threads = set()
        for thread in THREADS:
            wanted = [
                message_id
                for message_id, expected in self.model.items()
                if expected.thread == thread and expected.sendable(self.target)
            ]
            pending = self.journal.pending(self.target, thread, 0, 1000)
            assert [message.id for message in pending] == wanted
            if wanted:
                threads.add(thread)
        assert set(self.journal.pending_threads(self.target)) == threads

    @invariant()
    def every_end_was_told_once(self) -> None:
        told = events(self.journal)
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        ends = Counter(event["id"] for event in told)
        assert ends == Counter({key: one.ends for key, one in self.model.items() if one.ends})


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
