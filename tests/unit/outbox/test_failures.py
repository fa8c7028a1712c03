"""The disk is full, or a connector's own code breaks."""

from __future__ import annotations

import pytest

from fleetchatd.errors import StorageFullError
from fleetchatd.model import State
from tests.unit.chat import Chat, Office
from tests.unit.journal.conftest import events
from tests.unit.journal.faulty import FaultyJournal


async def test_what_could_not_be_taken_in_is_not_sent(
    office: Office, journal: FaultyJournal
) -> None:
    journal.fail("COMMIT")
    with pytest.raises(StorageFullError):
        await office.send("lost")
    kept = await office.send("kept")
    await office.final(kept)
    assert office.chat.texts == ["kept"]


async def test_an_end_that_could_not_be_written_is_written_later_and_sent_once(
    office: Office, journal: FaultyJournal
) -> None:
    message = await office.begun("hello")
    journal.fail("COMMIT", times=2)
    office.chat.gate.set()
    assert (await office.final(message)).state is State.DELIVERED
    assert office.chat.texts == ["hello"]
    assert [event["type"] for event in events(journal)] == ["delivery"]


async def test_nothing_is_attempted_before_the_intent_is_on_disk(
    office: Office, journal: FaultyJournal
) -> None:
    office.chat.gate.clear()
    await office.send("first")
    second = await office.send("second")
    await office.until("under way", lambda: office.chat.under_way)
    journal.fail("UPDATE messages SET state", times=3)
    office.chat.gate.set()
    await office.final(second)
    assert office.chat.texts == ["first", "second"]


async def test_a_split_that_breaks_blocks_nobody_behind_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Chat, "split", broken_split)
        with pytest.raises(ValueError, match="a bug"):
            await office.send("bad")
    good = await office.send("good")
    assert (await office.final(good)).state is State.DELIVERED


def broken_split(chat: Chat, text: str, text_format: str) -> tuple[str, ...]:
    raise ValueError("a bug")
