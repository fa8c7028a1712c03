from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fleetchatd.connectors.memory import MemoryConnector
from fleetchatd.errors import SendAmbiguous, SendDeferred
from fleetchatd.model import Batch, Draft, Event, Message, MessageEvent, OutboundPart
from tests.unit.chat import context


class ListInbox:
    """Keeps batches in a list; commits are held back while `open` is not set."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.open = True
        self.waiting: list[asyncio.Future[None]] = []
        self._changed = asyncio.Event()

    async def position(self) -> str | None:
        return None

    def commit(self, batch: Batch) -> asyncio.Future[None]:
        self.batches.append(batch)
        self._changed.set()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.open:
            done.set_result(None)
        else:
            self.waiting.append(done)
        return done

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch.events]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., MemoryConnector]:
    def make(**settings: Any) -> MemoryConnector:
        return MemoryConnector.create(settings, context(tmp_path))

    return make


def part(text: str, message_id: str = "m1", thread_id: str | None = None) -> OutboundPart:
    draft = Draft(text, thread_id=thread_id)
    message = Message(id=message_id, order=1, time="", draft=draft, target="memory", parts=(text,))
    return OutboundPart(message, 0)


@asynccontextmanager
async def subscribed(connector: MemoryConnector, inbox: ListInbox) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(connector.subscribe(inbox))
        try:
            yield
        finally:
            task.cancel()


async def test_what_is_sent_is_kept(make: Callable[..., MemoryConnector]) -> None:
    connector = make()
    result = await connector.send(part("hello"))
    assert [sent.text for sent in connector.sent] == ["hello"]
    assert result.remote_id


async def test_a_repeated_transaction_id_shows_the_message_once(
    make: Callable[..., MemoryConnector],
) -> None:
    connector = make()
    first = await connector.send(part("hello"))
    assert await connector.send(part("hello")) == first
    assert len(connector.sent) == 1


async def test_ids_are_the_same_after_a_restart_and_differ_between_messages(
    make: Callable[..., MemoryConnector],
) -> None:
    first, again = await make().send(part("a")), await make().send(part("a"))
    assert first == again
    assert await make().send(part("a", "m2")) != first


async def test_what_a_person_says_is_handed_over_in_order(
    make: Callable[..., MemoryConnector],
) -> None:
    connector, inbox = make(), ListInbox()
    connector.say("before anybody listened")
    async with subscribed(connector, inbox):
        said = connector.say("hello", thread_id="t", reply_to="r", sender="ann")
        await inbox.until(lambda: len(inbox.events) == 2)
    event = inbox.events[1]
    assert isinstance(event, MessageEvent)
    assert (event.id, event.thread_id, event.reply_to) == (said, "t", "r")
    assert (event.sender, event.text, event.event_class) == ("ann", "hello", "human")


async def test_echo_answers_in_the_thread_of_the_message(
    make: Callable[..., MemoryConnector],
) -> None:
    connector, inbox = make(echo=True), ListInbox()
    async with subscribed(connector, inbox):
        result = await connector.send(part("hello", thread_id="t"))
        await inbox.until(lambda: bool(inbox.events))
    (event,) = inbox.events
    assert isinstance(event, MessageEvent)
    assert (event.text, event.thread_id, event.reply_to) == ("hello", "t", result.remote_id)


async def test_own_messages_come_back_as_confirmations(
    make: Callable[..., MemoryConnector],
) -> None:
    connector, inbox = make(), ListInbox()
    async with subscribed(connector, inbox):
        result = await connector.send(part("hello"))
        await inbox.until(lambda: bool(inbox.batches))
    assert [pair for batch in inbox.batches for pair in batch.confirmations] == [
        ("m1", result.remote_id)
    ]
    assert not inbox.events


async def test_a_fault_is_raised_once_and_nothing_arrives(
    make: Callable[..., MemoryConnector],
) -> None:
    connector = make()
    connector.fail_next(SendDeferred("later"))
    with pytest.raises(SendDeferred):
        await connector.send(part("hello"))
    assert not connector.sent
    await connector.send(part("hello"))
    assert len(connector.sent) == 1


async def test_a_lost_answer_leaves_the_message_in_the_chat(
    make: Callable[..., MemoryConnector],
) -> None:
    connector = make()
    connector.fail_next(SendAmbiguous("connection lost"), arrived=True)
    with pytest.raises(SendAmbiguous):
        await connector.send(part("hello"))
    await connector.send(part("hello"))
    assert len(connector.sent) == 1


async def test_a_receiver_that_is_cancelled_loses_nothing(
    make: Callable[..., MemoryConnector],
) -> None:
    connector, inbox = make(), ListInbox()
    inbox.open = False
    async with subscribed(connector, inbox):
        connector.say("one")
        await inbox.until(lambda: bool(inbox.waiting))
        connector.say("two")
    inbox.open = True
    async with subscribed(connector, inbox):
        await inbox.until(lambda: len(inbox.events) == 2)
    assert [getattr(event, "text", None) for event in inbox.events] == ["one", "two"]


async def test_health_says_whether_somebody_listens(tmp_path: Path) -> None:
    seen: list[bool] = []
    connector = MemoryConnector.create(
        {}, context(tmp_path, lambda: seen.append(connector.health().receiving))
    )
    assert (connector.health().status, connector.health().receiving) == ("degraded", False)
    inbox = ListInbox()
    async with subscribed(connector, inbox):
        connector.say("x")
        await inbox.until(lambda: bool(inbox.events))
        assert (connector.health().status, connector.health().receiving) == ("ok", True)
        assert connector.health().last_receive is not None
    assert seen == [True, False]
    assert not connector.health().receiving


async def test_delay_is_how_long_a_send_takes(make: Callable[..., MemoryConnector]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await make(delay_s=0.05).send(part("x"))
    assert loop.time() - began >= 0.05
