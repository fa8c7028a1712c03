"""The connector on a scripted homeserver: gaps, and where they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from fleetchatd.connectors.matrix import history
from fleetchatd.connectors.matrix.position import Position
from fleetchatd.model import GapEvent
from tests.fakes import faults
from tests.fakes.homeserver import FakeHomeserver, FakeMatrixRoom
from tests.fakes.profiles import CONDUIT, SYNAPSE
from tests.unit.connectors.matrix.wired import Journalled, wire


@pytest_asyncio.fixture(params=[SYNAPSE, CONDUIT], ids=lambda profile: profile.name)
async def room(request: pytest.FixtureRequest) -> AsyncIterator[FakeMatrixRoom]:
    """A human and a bot in a room of either sort of homeserver."""
    async with FakeHomeserver(request.param) as server:
        yield server.furnish()


async def contact(room: FakeMatrixRoom, tmp_path: Path) -> Journalled:
    """Receive for the first time, and hear nothing: what is said from then on is missed."""
    async with wire(room, tmp_path).receiving() as wired:
        pass
    return wired.inbox


async def test_what_was_said_before_the_first_contact_is_not_delivered(
    room: FakeMatrixRoom, tmp_path: Path
) -> None:
    room.room.flood(room.human.user_id, (f"old {n}" for n in range(30)))
    async with wire(room, tmp_path).receiving() as wired:
        await room.human.say("new")
        await wired.until_said("new")


@pytest.mark.parametrize("count", [3, 30, 250])
async def test_what_is_said_during_an_absence_comes_once_and_in_order(
    room: FakeMatrixRoom, count: int, tmp_path: Path
) -> None:
    await room.human.say("old")
    inbox = await contact(room, tmp_path)
    said = [f"message {n}" for n in range(count)]
    room.room.flood(room.human.user_id, said)
    async with wire(room, tmp_path, inbox).receiving() as again:
        await again.until_said(*said)
        await room.human.say("live")
        await again.until_said(*said, "live")


async def test_a_long_gap_is_fetched_twice_rather_than_held(
    room: FakeMatrixRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "HELD_EVENTS", 100)
    monkeypatch.setattr(history, "PAGE", 50)
    inbox = await contact(room, tmp_path)
    said = [f"message {n}" for n in range(500)]
    room.room.flood(room.human.user_id, said)
    async with wire(room, tmp_path, inbox).receiving() as again:
        await again.until_said(*said)
    assert len(room.server.calls_to("GET", "*/messages")) > 400 / 50 + 4
    largest = max(len(batch.events) for batch in inbox.batches)
    assert largest <= 100


async def test_a_bot_that_was_long_in_the_room_unheard_is_not_told_the_past(
    room: FakeMatrixRoom, tmp_path: Path
) -> None:
    """Its newest event says nothing to people, so it alone must do as the known one."""
    room.room.flood(room.human.user_id, (f"old {n}" for n in range(30)))
    room.room.send(room.human.user_id, "org.example.unknown", {})
    inbox = await contact(room, tmp_path)
    said = [f"message {n}" for n in range(150)]
    room.room.flood(room.human.user_id, said)
    async with wire(room, tmp_path, inbox).receiving() as again:
        await again.until_said(*said)


async def test_a_place_that_the_server_cannot_read_brings_nothing_old_and_loses_nothing(
    room: FakeMatrixRoom, tmp_path: Path
) -> None:
    room.room.flood(room.human.user_id, (f"old {n}" for n in range(30)))
    inbox = await contact(room, tmp_path)
    room.room.flood(room.human.user_id, ["one", "two"])
    position = Position.decode(inbox.stored or "")
    inbox.stored = replace(position, since="garbage").encode()
    async with wire(room, tmp_path, inbox).receiving() as again:
        await again.until_said("one", "two")
        await room.human.say("three")
        await again.until_said("one", "two", "three")
    assert inbox.of_type("gap") == []


@pytest.mark.parametrize("since", ["garbage", None])
async def test_a_place_that_nobody_knows_is_a_gap_and_not_the_whole_past(
    room: FakeMatrixRoom, since: str | None, tmp_path: Path
) -> None:
    room.room.flood(room.human.user_id, (f"old {n}" for n in range(30)))
    inbox = await contact(room, tmp_path)
    lost = Position(since, room.room_id, ("$purged",))
    inbox.stored = lost.encode()
    async with wire(room, tmp_path, inbox).receiving() as again:
        await again.until(lambda: again.inbox.of_type("gap"))
        await room.human.say("new")
        await again.until(lambda: again.inbox.texts[-1:] == ["new"])
    assert len(inbox.texts) <= 11, "only what the timeline itself brought"


async def test_a_gap_that_cannot_be_filled_is_told_before_what_is_left_of_it(
    room: FakeMatrixRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 50)
    inbox = await contact(room, tmp_path)
    said = [f"message {n}" for n in range(300)]
    room.room.flood(room.human.user_id, said)
    room.server.fail("GET", "*/messages", faults.refuse(500), nth=2)  # passes
    gone = faults.refuse(403, "M_FORBIDDEN", "purged")
    room.server.fail("GET", "*/messages", gone, nth=5, times=None)
    async with wire(room, tmp_path, inbox).receiving() as again:
        await again.until(lambda: again.inbox.texts[-1:] == [said[-1]])
    gap, *rest = inbox.events
    assert isinstance(gap, GapEvent)
    assert "purged" in gap.detail
    left = [event.text for event in rest if event.type == "message"]  # type: ignore[attr-defined]
    assert 100 <= len(left) < 300
    assert left == said[-len(left) :]


async def test_an_empty_page_is_not_the_end_while_it_names_the_next(
    room: FakeMatrixRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Synapse leaves out what may not be seen, be it all of a page."""
    monkeypatch.setattr(history, "PAGE", 50)

    def hide(page: Any) -> None:
        page["chunk"] = []

    inbox = await contact(room, tmp_path)
    said = [f"message {n}" for n in range(300)]
    room.room.flood(room.human.user_id, said)
    room.server.fail("GET", "*/messages", faults.rewrite(hide), nth=2)
    async with wire(room, tmp_path, inbox).receiving() as again:
        await again.until(lambda: again.inbox.texts[-1:] == [said[-1]])
    heard = again.inbox.texts
    assert heard[0] == said[0]
    assert len(heard) == 250


async def test_the_rules_of_then_hold_across_a_gap_too(
    room: FakeMatrixRoom, tmp_path: Path
) -> None:
    inbox = await contact(room, tmp_path)
    room.room.flood(room.human.user_id, (f"closed {n}" for n in range(120)))
    room.room.set_state("m.room.join_rules", {"join_rule": "public"})
    room.room.flood(room.human.user_id, (f"open {n}" for n in range(120)))
    async with wire(room, tmp_path, inbox).receiving(None) as again:
        await again.until_said(*(f"closed {n}" for n in range(120)))
        await again.until(lambda: again.context.counts["refused_senders"] == 120)
        assert again.health.status == "down"


@pytest.mark.parametrize("change", [faults.duplicate_timelines, faults.empty_limited])
async def test_odd_timelines_lose_and_double_nothing(
    room: FakeMatrixRoom, change: Any, tmp_path: Path
) -> None:
    async with wire(room, tmp_path).receiving() as wired:
        room.server.fail("GET", "*/sync", faults.rewrite(change), times=None)
        said = [f"message {n}" for n in range(25)]
        for text in said:
            room.room.say(room.human.user_id, text)
            await asyncio.sleep(0)
        await wired.until_said(*said)
