"""Answers to what `fleetchat init` asks on a terminal."""

from __future__ import annotations

import re

from tests.docs.shell import Newcomer
from tests.harness.human import Account, Human
from tests.harness.synapse import Synapse
from tests.harness.tmux import Terminal
from tests.harness.waiting import eventually


async def until_it_waits(newcomer: Newcomer) -> None:
    """Wait until somebody reads."""

    async def reads() -> bool:
        return any(one["connected"] for one in await newcomer.api.subscribers())

    await eventually("somebody who waits for the answer", reads)


async def answers(pane: Terminal, question: str, words: str) -> None:
    """Answer a question once it is asked."""
    await pane.shows(question)
    await pane.submit(words)


async def chooses(pane: Terminal, question: str, choice: str) -> None:
    """Move to a choice, and take it."""
    await pane.shows(question)

    async def reached() -> bool:
        if f"» {choice}" in await pane.capture():
            return True
        await pane.keys("Down")
        return False

    await eventually(choice, reached, pause_s=0.3)
    await pane.keys("Enter")


async def make_a_room(pane: Terminal, synapse: Synapse, bot: Account, human: Human) -> Human:
    """Set up Matrix with two accounts and no room yet; gives the human, who has joined it."""
    await answers(pane, "homeserver_url:", synapse.base_url)
    await answers(pane, "user_id:", bot.user_id)
    await chooses(pane, "Log in to the bot's account", "with its password")
    await answers(pane, "Password:", bot.password)
    await chooses(pane, "Which room?", "Make a private one")
    await answers(pane, "Whom to invite?", human.user_id)
    await answers(pane, "Make a room, invite", "")
    wrote = await pane.shows("next: fleetchatd")
    (room_id,) = set(re.findall(r"room_id (![\w-]+)", wrote))
    invited = human.in_room(room_id)
    await invited.join()
    return invited
