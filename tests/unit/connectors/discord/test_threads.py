"""Threads of the channel, told or found; and places that are not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.discord.refusals import refuse
from tests.fakes.discord.server import FakeDiscordChannel
from tests.fakes.discord.things import PRIVATE_THREAD
from tests.unit.connectors.discord.wired import wire
from tests.unit.connectors.matrix.wired import part


async def test_threads_opened_and_archived_meanwhile_are_read_with_their_ids(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        kept = fleet.human.say("kept open")
        await wired.until_said("kept open")
    fleet.human.say("in the open one", thread=kept)
    archived = fleet.human.open_thread(name="by itself")
    fleet.human.say("in the archived one", thread=archived.id)
    fleet.human.archive(archived.id)
    fleet.human.say("in the channel")
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        await again.until(lambda: len(again.inbox.texts) == 4)
        places = {event.text: event.thread_id for event in again.inbox.of_type("message")}
    assert places == {
        "kept open": None,
        "in the channel": None,
        "in the open one": kept,
        "in the archived one": archived.id,
    }


async def test_archived_threads_are_listed_only_as_far_as_they_are_new(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    for number in range(130):
        thread = fleet.human.open_thread(name=f"thread {number}")
        fleet.human.say(f"in {number}", thread=thread.id)
        fleet.human.archive(thread.id)
    async with wire(fleet, tmp_path).receiving() as wired:
        pass
    fleet.human.say("again", thread=thread.id)
    fleet.human.archive(thread.id)
    before = len(fleet.server.calls)
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        await again.until_said("again")
        asked = fleet.server.calls[before:]
        assert sum("archived" in call.path for call in asked) == 1
        assert len(asked) < 12


async def test_a_thread_that_people_open_is_heard_and_joined(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    async with wire(fleet, tmp_path).receiving() as wired:
        thread = fleet.human.open_thread(name="a question")
        fleet.human.say("what now?", thread=thread.id)
        await wired.until_said("what now?")
        assert wired.inbox.of_type("message")[0].thread_id == thread.id
        await wired.until(lambda: fleet.bot.id in thread.members)
        secret = fleet.human.open_thread(name="private", kind=PRIVATE_THREAD)
        fleet.human.say("between us", thread=secret.id)
        await wired.until_said("what now?", "between us")


@pytest.mark.parametrize("by", ["a person", "us"])
async def test_what_was_missed_in_a_thread_of_no_list_comes_when_it_opens_again(
    fleet: FakeDiscordChannel, tmp_path: Path, by: str
) -> None:
    secret = fleet.human.open_thread(name="private", kind=PRIVATE_THREAD)
    async with wire(fleet, tmp_path).receiving() as wired:
        fleet.human.say("before", thread=secret.id)
        await wired.until_said("before")
    fleet.human.say("missed", thread=secret.id)
    fleet.human.archive(secret.id)
    async with wire(fleet, tmp_path, wired.inbox).receiving() as again:
        path = f"*/channels/{secret.id}/messages"
        fleet.server.fail("GET", path, refuse(503))
        if by == "us":
            await again.connector.send(part("opened again", thread_id=secret.id))
            await again.until_said("before", "missed")
        fleet.human.say("opened again", thread=secret.id)
        await again.until_said("before", "missed", "opened again")


async def test_a_thread_that_was_taken_for_elsewhere_is_heard_once_it_is_known_as_ours(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world = fleet.server.world
    async with wire(fleet, tmp_path).receiving() as wired:
        told = world.happened
        world.happened = lambda name, data, channel: None
        thread = fleet.human.open_thread(name="not told")
        world.happened = told
        fault = fleet.server.fail("GET", f"*/channels/{thread.id}", refuse(404, 10003))
        fleet.human.say("not found", thread=thread.id)
        await wired.until(lambda: fault.seen)
        world.archive(thread, archived=False)  # tells of it
        await wired.until_said("not found")
        fleet.human.say("found", thread=thread.id)
        await wired.until_said("not found", "found")


async def test_other_channels_and_their_threads_are_not_ours(
    fleet: FakeDiscordChannel, tmp_path: Path
) -> None:
    world = fleet.server.world
    other = world.add_channel("other", closed=False)
    async with wire(fleet, tmp_path).receiving() as wired:
        world.say(other, fleet.human.user, "elsewhere")
        thread = world.open_thread(other, fleet.human.user, "elsewhere")
        world.say(thread, fleet.human.user, "elsewhere, too")
        later = world.add_channel("later", closed=False)
        for number in range(5):
            world.say(later, fleet.human.user, f"elsewhere {number}")
        fleet.human.say("here")
        await wired.until_said("here")
        assert fleet.server.calls_to("GET", f"*/channels/{other.id}") == []
        assert len(fleet.server.calls_to("GET", f"*/channels/{later.id}")) == 1
