"""The link: a connector made from the roster, received from, sent through, let go of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fleetchatd import link as link_module
from fleetchatd.connectors import pauses, registry
from fleetchatd.connectors.base import Context, Inbox
from fleetchatd.errors import SecretError
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.link import Link
from fleetchatd.roster import Agent, Roster
from tests.unit.chat import Chat, Office
from tests.unit.journal.conftest import Clock, events

ROSTER = Roster(
    path="roster.yaml",
    agents=[Agent(name="mos", runtime="claude")],
    tmux_socket_name="x",
    connector_kind="chat",
    connector_settings={},
    other_settings={},
)


class FragileChat(Chat):
    """A chat whose parts break when a test says so.

    Attributes:
        breaks: how many more receivers break.
        clings: how often a receiver that is cancelled goes on all the same.
        trips: breaks when it is cancelled.
        closed: how often it was let go of.
    """

    secrets: Sequence[str] = ("matrix_access_token",)  # type: ignore[misc]
    breaks = 0
    clings = 0
    trips = False
    closed = 0

    @classmethod
    def create(cls, settings: Mapping[str, Any], context: Context) -> FragileChat:
        return cls(context)

    async def subscribe(self, inbox: Inbox) -> None:
        if self.breaks:
            self.breaks -= 1
            raise ValueError("a bug")
        try:
            await super().subscribe(inbox)
        except asyncio.CancelledError:
            if self.trips:
                raise ValueError("a bug") from None
            if not self.clings:
                raise
            self.clings -= 1
            await self.subscribe(inbox)

    async def mark_read(self, event_id: str) -> None:
        raise ValueError("a bug")

    async def close(self) -> None:
        self.closed += 1
        raise ValueError("a bug")


@pytest.fixture(autouse=True)
def chat_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "connector_class", lambda kind: FragileChat)
    monkeypatch.setattr(registry, "secret_names", lambda kind: FragileChat.secrets)
    monkeypatch.setattr(pauses, "FIRST_S", 0.01)
    monkeypatch.setattr(link_module, "BROKEN_S", 0.01)
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", "first-token")


@pytest_asyncio.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    journal = SqliteJournal(tmp_path / "journal.db", clock=Clock())
    made = Office(journal, tmp_path)
    yield made
    await made.close()
    await journal.close()


class Told:
    """How often the daemon was told of another health."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def link(office: Office) -> Link:
    return Link(ROSTER, office.state_dir, office.journal, office.outbox, Told())


def chat_of(link: Link) -> FragileChat:
    assert isinstance(link.connector, FragileChat)
    return link.connector


async def test_it_sends_and_receives_until_it_is_stopped(office: Office, link: Link) -> None:
    link.start(office.spawn)
    chat = chat_of(link)
    await office.final(await office.send("out"))
    chat.say("in")
    await office.until("the event", lambda: office.journal.last_seq >= 2)
    assert {event["type"] for event in events(office.journal)} == {"delivery", "message"}
    await link.stop()
    assert not chat.health().receiving
    await office.send("later")
    assert chat.texts == ["out"]


async def test_a_receiver_that_breaks_shows_in_health_and_is_started_again(
    office: Office, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "BROKEN_S", 0.5)
    chat = chat_of(link)
    chat.breaks = 1
    chat.say("said while it was broken")
    link.start(office.spawn)
    await office.until("it shows", lambda: link.health().status == "degraded")
    health = link.health()
    assert (health.status, health.receiving) == ("degraded", False)
    assert health.detail == "the receiver broke: ValueError; see the log"
    await office.until("the event", lambda: office.journal.last_seq)
    assert (link.health().status, link.health().detail) == ("ok", None)
    await link.stop()


async def test_a_receiver_that_breaks_at_once_is_not_started_at_every_message(
    office: Office, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "BROKEN_S", 60.0)
    chat = chat_of(link)
    chat.breaks = 100
    link.start(office.spawn)
    for number in range(20):
        await office.final(await office.send(str(number)))
    assert chat.breaks == 99
    await link.stop()


async def test_a_connector_that_breaks_while_it_is_let_go_of_stands_in_nobodys_way(
    office: Office, link: Link
) -> None:
    link.start(office.spawn)
    await link.stop()
    assert chat_of(link).closed == 1
    following = Link(ROSTER, office.state_dir, office.journal, office.outbox, Told())
    following.start(office.spawn)
    await office.final(await office.send("onwards"))
    assert chat_of(following).texts == ["onwards"]


async def test_a_receiver_that_breaks_when_it_is_to_end_has_ended(
    office: Office, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "CANCEL_AGAIN_S", 60.0)
    chat = chat_of(link)
    chat.trips = True
    link.start(office.spawn)
    await office.until("receiving", lambda: chat.health().receiving)
    async with asyncio.timeout(30):
        await link.stop()
    assert not chat.health().receiving


async def test_a_receiver_that_goes_on_when_it_is_to_end_is_told_again(
    office: Office, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "CANCEL_AGAIN_S", 0.01)
    chat = chat_of(link)
    chat.clings = 2
    link.start(office.spawn)
    await office.until("receiving", lambda: chat.health().receiving)
    async with asyncio.timeout(30):
        await link.stop()
    assert (chat.clings, chat.health().receiving) == (0, False)


async def test_what_was_received_is_on_disk_before_another_takes_over(
    office: Office, link: Link
) -> None:
    link.start(office.spawn)
    chat = chat_of(link)
    await office.until("receiving", lambda: chat.health().receiving)
    for number in range(20):
        chat.say(str(number))
        await asyncio.sleep(0)
    await link.stop()
    heard = [event["text"] for event in events(office.journal) if event["type"] == "message"]
    assert heard == [str(number) for number in range(len(heard))]
    assert len(heard) + chat._heard.qsize() == 20


async def test_a_read_receipt_that_breaks_breaks_nothing_else(link: Link) -> None:
    await link.mark_read("$1")


async def test_a_stored_successor_outranks_the_secret_it_came_from(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = link.context.secret("matrix_access_token")
    assert link.same_secrets()
    link.context.store_secret("matrix_access_token", first.refreshed("second-token"))
    assert link.context.secret("matrix_access_token").value == "second-token"
    assert link.same_secrets()
    monkeypatch.setenv("MATRIX_ACCESS_TOKEN", "another-login")
    assert not link.same_secrets()


async def test_a_missing_secret_opens_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MATRIX_ACCESS_TOKEN")
    with pytest.raises(SecretError):
        Link(ROSTER, office.state_dir, office.journal, office.outbox, Told())


async def test_stopping_what_was_never_started_is_nothing_special(link: Link) -> None:
    async with asyncio.timeout(5):
        await link.stop()
