"""What validates the scripted Discord: two client libraries that know nothing of each other.

discord.py and hikari, unmodified, play the same scenario on it: log in, hear what a person does,
answer, read the history, open a thread, slow down when told to, lose their connection and resume.
Each parses every object by its own rules, and both must come to the same account of it. Nothing
here was ever compared with live Discord; where the two libraries are lenient, the scripted server
follows Discord's documentation (API v10).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import hikari
import pytest

from tests.fakes.discord.limits import Limit
from tests.fakes.discord.refusals import slow_down
from tests.fakes.discord.server import FakeDiscord, FakeDiscordChannel
from tests.harness.discord_libraries import Client, Heard, discord_py, hikari_bot
from tests.harness.waiting import eventually

both = pytest.mark.parametrize("connected", [discord_py, hikari_bot])
Connected = Callable[[FakeDiscordChannel], Any]


async def until(client: Client, heard: Heard) -> None:
    async def probe() -> bool:
        return heard in client.heard

    try:
        await eventually(f"{heard} heard", probe, pause_s=0.01)
    except AssertionError as error:
        raise AssertionError(f"{error}: {client.heard}") from None


@both
async def test_a_conversation_with_all_that_may_happen_in_it(connected: Connected) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        ann, place = fleet.human, fleet.channel.id
        async with connected(fleet) as client:
            await until(client, ("ready",))
            hello = ann.say("hello")
            await until(client, ("said", place, "hello", ""))
            answer = await client.send(place, "hi there")
            thread = await client.open_thread(hello, "about hello")
            assert thread == hello
            await client.send(thread, "in the thread")
            ann.say("yes", thread=thread)
            ann.edit(hello, "hello!")
            ann.react(answer, "👍")
            ann.delete(answer)
            await until(client, ("deleted", answer))
            assert client.heard == [
                ("ready",),
                ("said", place, "hello", ""),
                ("said", place, "hi there", "own"),
                ("thread", thread, place),
                ("said", thread, "in the thread", "own"),
                ("said", thread, "yes", ""),
                ("edited", hello, "hello!"),
                ("reacted", answer, "👍"),
                ("deleted", answer),
            ]
            assert await client.history(place) == ["hello!"]
            assert (await client.history(thread))[-2:] == ["in the thread", "yes"]
            assert await client.active() == ["about hello"]
            ann.archive(thread)
            assert (await client.active(), await client.archived()) == ([], ["about hello"])


@both
async def test_the_application_and_the_members_can_be_looked_at(connected: Connected) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            assert await client.may_read()
            server.gateway.allowed_intents = 0
            assert not await client.may_read()
            assert await client.is_member(fleet.human.user_id)
            del server.world.members[fleet.human.user_id]
            assert not await client.is_member(fleet.human.user_id)
            assert not await client.is_member("1")


@both
async def test_a_nonce_makes_one_message_of_two_requests(connected: Connected) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            first = await client.send(fleet.channel.id, "once", "n1")
            assert await client.send(fleet.channel.id, "once", "n1") == first
            assert fleet.said_by_bot() == ["once"]


@both
async def test_long_histories_come_in_pages(connected: Connected) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        said = [f"message {number}" for number in range(250)]
        for text in said:
            fleet.human.say(text)
        async with connected(fleet) as client:
            await until(client, ("ready",))
            assert await client.history(fleet.channel.id) == said


@both
@pytest.mark.parametrize("breakage", ["reconnect", "cut", "may resume"])
async def test_a_lost_connection_is_resumed_and_what_was_missed_is_replayed(
    connected: Connected, breakage: str
) -> None:
    async with FakeDiscord() as server:
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            if breakage == "reconnect":
                server.gateway.say_to_all(7)
            elif breakage == "cut":
                server.gateway.drop_all()
            else:
                server.gateway.say_to_all(9, True)
            fleet.human.say("meanwhile")
            await until(client, ("said", fleet.channel.id, "meanwhile", ""))
            await until(client, ("resumed",))
        assert (len(server.gateway.identifies), server.gateway.resumes) == (1, [True])


@both
async def test_an_invalid_session_is_begun_anew_not_within_five_seconds(
    connected: Connected,
) -> None:
    async with FakeDiscord() as server:
        server.gateway.identify_every_s = 0.2
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            server.gateway.forget_sessions()
            server.gateway.say_to_all(9, False)
            await server_identified(server, 2)
            assert [one.taken for one in server.gateway.identifies] == [True, True]


async def server_identified(server: FakeDiscord, count: int) -> None:
    async def probe() -> bool:
        return len(server.gateway.identifies) >= count

    await eventually("identified", probe)


@both
async def test_who_asks_too_often_is_told_to_wait_and_does(connected: Connected) -> None:
    async with FakeDiscord() as server:
        server.limits.by_route["POST channels/*/messages"] = Limit(3, 0.3)
        fleet = server.furnish()
        async with connected(fleet) as client:
            await until(client, ("ready",))
            server.fail("POST", "*/messages", slow_down(0.1))
            server.fail("POST", "*/messages", slow_down(0.1, for_all=True))
            for number in range(8):
                await client.send(fleet.channel.id, f"message {number}")
        assert fleet.said_by_bot() == [f"message {number}" for number in range(8)]


@both
@pytest.mark.parametrize("code", [4004, 4013, 4014])
async def test_a_closing_of_the_gateway_for_good_is_understood(
    connected: Connected, code: int
) -> None:
    async with FakeDiscord() as server:
        server.gateway.close_identify.append(code)
        with pytest.raises((hikari.HikariError, ExceptionGroup)):
            async with connected(server.furnish()):
                await asyncio.sleep(60)
        assert len(server.gateway.identifies) == 1


@both
async def test_a_refused_token_is_understood(connected: Connected) -> None:
    async with FakeDiscord() as server:
        server.refusing_tokens = True
        with pytest.raises((hikari.UnauthorizedError, ExceptionGroup)):
            async with connected(server.furnish()):
                await asyncio.sleep(60)
        assert server.gateway.identifies == []
