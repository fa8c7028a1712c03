"""What is taken back goes from the journal, and from its files, with nothing left behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fleetchatd.journal.base import REDACTED_TEXT
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import Attachment, EditEvent, Event, RedactionEvent, State
from tests.unit.journal.conftest import (
    TARGET,
    Journals,
    accepted,
    commit,
    events,
    on_disk,
    said,
    settle,
)

SECRET = "the launch code is 0000"


def redaction(target: str) -> RedactionEvent:
    return RedactionEvent(
        id=f"no {target}", time="", connector="memory", sender=None, target=target
    )


def edit(event_id: str, target: str, text: str) -> EditEvent:
    return EditEvent(
        id=event_id, time="", connector="memory", sender="ann", target=target, text=text
    )


@pytest.mark.parametrize("size", [1, 20_000])
@pytest.mark.parametrize("apart", [True, False])
async def test_a_redacted_text_is_nowhere_in_the_files(
    journal: SqliteJournal, size: int, apart: bool
) -> None:
    attachment = Attachment(f"{SECRET}.txt", "text/plain", 1, "mxc://x/y")
    everything: list[Event] = [
        said("$1", f"{SECRET} " * size, attachments=[attachment]),
        edit("$2", "$1", f"{SECRET}! " * size),
        said("$3", "kept"),
        edit("$4", "$3", "kept, too"),
        redaction("$1"),
    ]
    for batch in [[event] for event in everything] if apart else [everything]:
        await commit(journal, *batch)
        if apart and batch != everything[-1:]:
            assert journal.last_seq == events(journal)[-1]["seq"]
    assert SECRET.encode() not in on_disk(journal)
    texts = [event.get("text") for event in events(journal)]
    assert texts == [REDACTED_TEXT, REDACTED_TEXT, "kept", "kept, too", None]
    assert events(journal)[0]["attachments"] == []


async def test_readers_from_memory_and_from_disk_see_the_redacted_text(
    journals: Journals,
) -> None:
    await commit(journals.now, said("$1", SECRET))
    assert SECRET in json.dumps(events(journals.now))
    await commit(journals.now, redaction("$1"))
    assert SECRET not in json.dumps(events(journals.now))
    assert SECRET not in json.dumps(events(await journals.reopen()))
    shown = journals.now.history(limit=5, before=None, thread_id=None, direction=None)
    assert SECRET not in json.dumps(shown)


async def test_a_redaction_of_one_edit_takes_that_alone(journal: SqliteJournal) -> None:
    await commit(journal, said("$1", "one"), edit("$2", "$1", "two"), redaction("$2"))
    assert [event.get("text") for event in events(journal)] == ["one", REDACTED_TEXT, None]


async def test_our_own_message_goes_when_people_take_it_back(journal: SqliteJournal) -> None:
    message = (await accepted(journal, SECRET, mark="")).with_remote_id("$own")
    await settle(journal, message, State.DELIVERED)
    await commit(journal, redaction("$own"))
    found = journal.message(message.id)
    assert found is not None
    assert (found.draft.text, found.state) == (REDACTED_TEXT, State.DELIVERED)
    assert SECRET.encode() not in on_disk(journal)


async def test_of_a_message_in_parts_the_redacted_part_goes(journal: SqliteJournal) -> None:
    parts = ("first ", SECRET, " last")
    message = await accepted(journal, "".join(parts), parts=parts, mark="")
    for remote in ("$1", "$2", "$3"):
        message = message.with_remote_id(remote)
    await settle(journal, message, State.DELIVERED)
    await commit(journal, redaction("$2"))
    found = journal.message(message.id)
    assert found is not None
    assert found.parts == ("first ", REDACTED_TEXT, " last")
    assert SECRET.encode() not in on_disk(journal)


async def test_a_part_taken_back_while_the_next_is_sent_does_not_come_back(
    journal: SqliteJournal,
) -> None:
    parts = (SECRET, " and the rest")
    message = (await accepted(journal, "".join(parts), parts=parts, mark="")).with_remote_id("$1")
    await journal.part_sent(message)
    await commit(journal, redaction("$1"))
    begun = (await journal.begin_attempts([message], ""))[0]
    assert begun is not None
    await settle(journal, begun.with_remote_id("$2"), State.DELIVERED)
    await commit(journal, said("$x"))
    assert SECRET.encode() not in on_disk(journal)
    found = journal.message(message.id)
    assert found is not None
    assert found.parts == (REDACTED_TEXT, " and the rest")


async def test_the_next_life_empties_the_log_that_a_crash_left(
    journals: Journals, tmp_path: Path
) -> None:
    """The log as a crash leaves it between a redaction's commit and the emptying of the log."""
    await commit(journals.now, said("$1", SECRET))
    journals.now.commits._scrub = False  # as if it died before
    journals.now.commits.scrub = lambda: None  # type: ignore[method-assign]
    await commit(journals.now, redaction("$1"))
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for path in (journals.path, Path(f"{journals.path}-wal")):
        (crashed / path.name).write_bytes(path.read_bytes())
    assert SECRET.encode() in b"".join(path.read_bytes() for path in crashed.iterdir())
    again = Journals(crashed / "journal.db", journals.clock)
    await commit(again.open(), said("$2"))
    assert SECRET.encode() not in on_disk(again.now)
    await again.close()


async def test_a_redaction_by_somebody_who_may_not_speak_counts_for_what_was_delivered(
    journal: SqliteJournal,
) -> None:
    unwelcome = replace(redaction("$1"), welcome=False)
    await commit(journal, replace(unwelcome, id="too early"), said("$1", SECRET))
    await commit(journal, replace(unwelcome, id="of nothing", target="$nobody"), unwelcome)
    message = (await accepted(journal, SECRET, mark="")).with_remote_id("$own")
    await settle(journal, message, State.DELIVERED)
    await commit(journal, replace(unwelcome, id="of our own", target="$own"))
    told = [event["id"] for event in events(journal) if event["type"] == "redaction"]
    assert told == ["no $1", "of our own"]
    assert SECRET.encode() not in on_disk(journal)


async def test_a_redaction_of_something_unknown_changes_nothing(journal: SqliteJournal) -> None:
    await commit(journal, said("$1", "kept"), redaction("$nobody"))
    assert [event.get("text") for event in events(journal)] == ["kept", None]
    assert journal.position(TARGET) is None
