"""The tutorials, typed by somebody new, word for word."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest_asyncio

from fleetchatd.homeserver.install import PYTHON_VARIABLE
from tests.docs.dialogue import answers, chooses, make_a_room, until_it_waits
from tests.docs.shell import Newcomer
from tests.fakes.discord.server import FakeDiscord, FakeDiscordChannel
from tests.harness import matrix_http
from tests.harness.documents import tested_blocks
from tests.harness.human import Account, Human
from tests.harness.synapse import Synapse
from tests.harness.synapse_install import ensure_installed
from tests.harness.tmux import Terminal
from tests.harness.waiting import eventually

QUESTION = "The build is **green**. Shall I ship it?"
SEEN = "Shall I ship it?"
ANSWER = "Ship it."
STARS = re.compile(r"\*{8,}")


async def looks_as_shown(newcomer: Newcomer, pane: Terminal, shown: str) -> None:
    """See that the terminal has what the page shows; a password has as many stars as it likes."""
    screen = STARS.sub("*", await pane.capture())
    for line in STARS.sub("*", newcomer.typed(shown)).splitlines():
        assert line in screen


async def is_read(pane: Terminal, shown: str) -> None:
    """Wait for an event as the page shows it, whatever its number and time."""
    words = re.compile(r"\s+".join(map(re.escape, shown.split()[2:])))
    await pane.until(shown, lambda screen: words.search(screen) is not None)


async def test_the_tutorial_for_tmux_ends_in_a_conversation(newcomer: Newcomer) -> None:
    set_up, start, attach, talk, shown = tested_blocks(
        "test_the_tutorial_for_tmux_ends_in_a_conversation"
    )
    await newcomer.type(set_up)
    newcomer.leave_running(start)
    await newcomer.until_well()
    console = await newcomer.terminal(attach)
    await console.shows("/help")
    orchestrator = await newcomer.terminal(talk)
    await console.shows(SEEN)
    await until_it_waits(newcomer)
    await console.submit(ANSWER)
    await is_read(orchestrator, shown)


async def test_the_tutorial_for_matrix_ends_in_a_conversation(
    newcomer: Newcomer, synapse: Synapse
) -> None:
    set_up, dialogue, look, start, talk, shown = tested_blocks(
        "test_the_tutorial_for_matrix_ends_in_a_conversation"
    )
    bot, ann = await synapse.register(), await synapse.human()
    await ann.set_display_name("Ann")
    newcomer.instead = {
        "https://matrix.example.org": synapse.base_url,
        "@mos:example.org": bot.user_id,
        "@ann:example.org": ann.user_id,
    }
    pane = await newcomer.terminal(set_up)
    ann = await make_a_room(pane, synapse, bot, ann)
    await looks_as_shown(newcomer, pane, dialogue)
    await newcomer.type(look)
    newcomer.leave_running(start)
    await newcomer.until_well()
    orchestrator = await newcomer.terminal(talk)
    await until_it_waits(newcomer)
    await ann.hears(QUESTION)
    await ann.say(ANSWER)
    await is_read(orchestrator, shown)


async def test_the_tutorial_for_matrix_with_nothing_ends_in_a_conversation(
    newcomer: Newcomer,
) -> None:
    up, start, talk, down = tested_blocks(
        "test_the_tutorial_for_matrix_with_nothing_ends_in_a_conversation"
    )
    # The download is the installer's own test; here Synapse is there already.
    newcomer.env[PYTHON_VARIABLE] = str(ensure_installed())
    told = await newcomer.type(up)
    try:
        operator = await signs_in(told)
        newcomer.leave_running(start)
        await newcomer.until_well()
        orchestrator = await newcomer.terminal(talk)
        await until_it_waits(newcomer)
        await operator.hears(QUESTION)
        await operator.say(ANSWER)
        await orchestrator.shows(ANSWER)
    finally:
        await newcomer.type(down)


async def signs_in(told: str) -> Human:
    """Do in Element what the command has printed; the operator is in one room there."""
    url, name, password = (
        re.findall(rf"{label} +(\S+)", told)[0] for label in ("Homeserver", "Username", "Password")
    )
    user = {"type": "m.id.user", "user": name}
    login = {"type": "m.login.password", "identifier": user, "password": password}
    answer = await matrix_http.demand(url, "POST", matrix_http.path("login"), login)
    token = answer["access_token"]
    rooms = await matrix_http.demand(url, "GET", matrix_http.path("joined_rooms"), token=token)
    account = Account(answer["user_id"], password, token, answer["device_id"])
    return Human(url, account, *rooms["joined_rooms"])


@pytest_asyncio.fixture
async def fleet() -> AsyncIterator[FakeDiscordChannel]:
    """A person and a bot in a closed channel."""
    async with FakeDiscord() as server:
        yield server.furnish()


async def test_the_tutorial_for_discord_ends_in_a_conversation(
    newcomer: Newcomer, fleet: FakeDiscordChannel
) -> None:
    set_up, dialogue, look, start, talk = tested_blocks(
        "test_the_tutorial_for_discord_ends_in_a_conversation"
    )
    newcomer.instead = {
        "--connector discord": f"--connector discord --api-url {fleet.server.api_url}",
        "1234567890123456789": fleet.channel.id,
    }
    pane = await newcomer.terminal(set_up)
    await chooses(pane, "Log in to the bot's account", "with an access token")
    await answers(pane, "Token:", fleet.bot.token)
    await answers(pane, "channel_id:", fleet.channel.id)
    await pane.shows("Write this into")
    await pane.keys("Enter")
    await pane.shows("next: fleetchatd")
    await looks_as_shown(newcomer, pane, dialogue)
    await newcomer.type(look)
    newcomer.leave_running(start)
    await newcomer.until_well()
    orchestrator = await newcomer.terminal(talk)
    await until_it_waits(newcomer)
    await eventually("the question in the channel", lambda: said(fleet))
    fleet.human.say(ANSWER)
    await orchestrator.shows(ANSWER)


async def said(fleet: FakeDiscordChannel) -> list[str]:
    return fleet.said_by_bot()
