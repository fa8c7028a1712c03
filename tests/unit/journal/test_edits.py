"""Edits in the journal: whose they are, and in which thread."""

from __future__ import annotations

import pytest

from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.model import EditEvent, Event, State
from tests.unit.journal.conftest import accepted, commit, events, ids, said, settle


def edit(
    event_id: str, target: str, *, sender: str = "ann", thread_id: str | None = None
) -> EditEvent:
    return EditEvent(
        id=event_id,
        time="",
        connector="memory",
        sender=sender,
        target=target,
        text="anew",
        thread_id=thread_id,
    )


async def told(journal: SqliteJournal, batch: list[Event], *, apart: bool) -> list[str]:
    """The ids that subscribers get of a batch, committed at once or event by event."""
    for some in [[event] for event in batch] if apart else [batch]:
        await commit(journal, *some)
    return ids(events(journal))


@pytest.mark.parametrize("apart", [True, False])
async def test_an_edit_stands_in_the_thread_of_what_it_edits(
    journal: SqliteJournal, apart: bool
) -> None:
    batch: list[Event] = [
        said("$1", thread_id="$root"),
        edit("$2", "$1"),
        edit("$3", "$2"),
        edit("$4", "$1", thread_id="$told"),
        edit("$5", "$unknown"),
        said("$6"),
        edit("$7", "$6"),
    ]
    await told(journal, batch, apart=apart)
    threads = [event["thread_id"] for event in events(journal)]
    assert threads == ["$root", "$root", "$root", "$told", None, None, None]


@pytest.mark.parametrize("apart", [True, False])
async def test_nobody_says_anew_what_somebody_else_said(
    journal: SqliteJournal, apart: bool
) -> None:
    batch: list[Event] = [
        said("$1"),
        edit("$2", "$1", sender="bob"),
        edit("$3", "$1"),
        edit("$4", "$3", sender="bob"),
        edit("$5", "$unknown", sender="bob"),
    ]
    assert await told(journal, batch, apart=apart) == ["$1", "$3", "$5"]


async def test_nobody_says_anew_what_we_said(journal: SqliteJournal) -> None:
    message = (await accepted(journal, mark="")).with_remote_id("$own")
    await settle(journal, message, State.DELIVERED)
    before = journal.last_seq
    await commit(journal, edit("$1", "$own"), position="on")
    assert events(journal, before) == []
