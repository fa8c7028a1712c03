"""Daemon and console die at each step between them; what operator and subscriber see then."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd.tmux import terminal
from tests.harness.agents import Agent
from tests.harness.daemon import Daemon, Death
from tests.harness.lives import next_life, on_disk, post, receiving
from tests.harness.operator import SESSION, Operator
from tests.harness.rooms import MakeDaemon
from tests.harness.tmux import Tmux
from tests.harness.waiting import eventually
from tests.integration.tmux_kill_points import (
    SAYINGS,
    TYPINGS,
    WORDS,
    Saying,
    Typing,
    Word,
)

KEY = "the key of a client"


def name_of(point: object) -> str:
    assert isinstance(point, Word | Saying | Typing)
    return point.columns[0].replace(" ", "-").replace(",", "")


@pytest_asyncio.fixture
async def tmux_daemon(tmux: Tmux, make_daemon: MakeDaemon) -> Daemon:
    """A daemon for the operator's session, not started."""
    return make_daemon(kind="tmux", env=tmux.env, socket_name=tmux.socket_name)


@pytest.fixture
def operator(tmux: Tmux, tmux_daemon: Daemon) -> Operator:
    return Operator(tmux, tmux_daemon.state_dir)


async def dead(daemon: Daemon, place: Death) -> None:
    assert await daemon.ended() == -signal.SIGKILL
    assert f"dying {place.when} {place.target} call {place.nth}" in daemon.log_text


# -- operator -> orchestrator ---------------------------------------------------------------------


@pytest.mark.parametrize("point", WORDS, ids=name_of)
async def test_what_the_operator_says(point: Word, tmux_daemon: Daemon, operator: Operator) -> None:
    """Say it, let one of both die, start that again, say more: the row of the table, observed."""
    if point.who == "console":
        await operator.sit_down(point.place)
        await operator.pane.shows("fleetchatd is away")
        await operator.pane.submit("hello")
        await operator.console_dead()
    else:
        await operator.sit_down()
        tmux_daemon.death = point.place
        await tmux_daemon.start()
        await receiving(tmux_daemon)
        await operator.pane.submit("hello")
        await dead(tmux_daemon, point.place)
        await operator.pane.shows("] hello")
        assert await on_disk(tmux_daemon) == point.journalled
    assert bool(operator.spool.pending()) == point.spooled
    assert (await operator.sent()).count("hello") == point.shown
    if point.who == "console":
        await operator.start_console()
    await next_life(tmux_daemon)
    await operator.pane.submit("more")
    kept = point.spooled or point.journalled
    await heard(tmux_daemon, [*(["hello"] if kept else []), "more"])
    await operator.pane.shows("✓ kept")
    assert (await operator.sent()).count("hello") == point.shown
    assert operator.spool.pending() == []


async def heard(daemon: Daemon, texts: list[str]) -> None:
    """Wait until the subscriber is given so much, and see that it is this."""

    async def probe() -> list[str] | None:
        events = await daemon.api.pending(after=0, types="message")
        return [event["text"] for event in events] if len(events) >= len(texts) else None

    assert await eventually(f"{texts} in the journal", probe) == texts


# -- orchestrator -> operator ---------------------------------------------------------------------


@pytest.mark.parametrize("point", SAYINGS, ids=name_of)
async def test_what_the_orchestrator_says(
    point: Saying, tmux_daemon: Daemon, operator: Operator, tmp_path: Path
) -> None:
    """Send, let one of both die, start that again, repeat: the row of the table, observed."""
    trace = tmp_path / "executed"
    text = f"to the operator\ntouch {trace}\nlast line"
    if point.who == "daemon":
        message_id = await daemon_dies(point, tmux_daemon, operator, text)
    else:
        message_id = await console_dies(point, tmux_daemon, operator, text)
    assert (await tmux_daemon.api.final(message_id))["state"] == "delivered"
    again = await tmux_daemon.api.send(text, key=KEY, wait_s=20)
    assert (again["id"], again["state"]) == (message_id, "delivered")
    # Anything that comes once more has come before what is said now.
    await tmux_daemon.api.send("goodbye", wait_s=20)
    assert await seen(operator) == point.times
    told = await tmux_daemon.api.pending(after=0, types="delivery")
    assert [event["state"] for event in told if event["id"] == message_id] == ["delivered"]
    assert not trace.exists(), "a shell has executed a message"


async def seen(operator: Operator) -> int:
    """How often the operator sees the message; a paste that a shell was left with is none."""
    return (await operator.heard()).count("last line")


async def daemon_dies(point: Saying, daemon: Daemon, operator: Operator, text: str) -> str:
    """Send and die at `point`, and start again; the message's id."""
    assert isinstance(point.place, Death)
    await operator.sit_down()
    daemon.death = point.place
    await daemon.start()
    await receiving(daemon)
    console = await operator.console_now()
    if point.busy:
        os.kill(console.pid, signal.SIGSTOP)
    await post(daemon, text, KEY)
    await dead(daemon, point.place)
    if point.seen:
        await operator.pane.shows("last line")
    assert await seen(operator) == point.seen
    await next_life(daemon)
    (kept,) = [item for item in await daemon.api.history(direction="out") if item["text"] == text]
    if point.confirmed:
        assert operator.spool.acknowledged(kept["id"])
    if point.busy:
        await pasted_again(daemon, kept["id"])
        os.kill(console.pid, signal.SIGCONT)
    return str(kept["id"])


async def pasted_again(daemon: Daemon, message_id: str) -> None:
    async def probe() -> bool:
        return bool((await daemon.api.message(message_id))["attempts"] > 1)

    await eventually("the next attempt", probe)


async def console_dies(point: Saying, daemon: Daemon, operator: Operator, text: str) -> str:
    """Send, let the console die at `point`, and start it again; the message's id."""
    await operator.sit_down(point.place if isinstance(point.place, Death) else None)
    await operator.pane.shows("fleetchatd is away")
    await daemon.start()
    await operator.pane.shows("fleetchatd is back")
    console = await operator.console_now()
    if point.place == "unread":
        os.kill(console.pid, signal.SIGSTOP)
    message_id = await post(daemon, text, KEY)
    assert message_id is not None
    if point.place == "unread":
        await paste_unread(operator)
        os.kill(console.pid, signal.SIGKILL)
    await operator.console_dead()
    assert operator.spool.acknowledged(message_id) == point.confirmed
    assert await seen(operator) == point.seen
    if not point.confirmed:
        await daemon.api.wait_health(lambda health: health["status"] == "degraded")
        assert (await daemon.api.message(message_id))["state"] == "sending"
    await operator.start_console()
    return message_id


async def paste_unread(operator: Operator) -> None:
    tty = await operator.pane.ask("#{pane_tty}")

    async def probe() -> bool:
        return terminal.unread(tty) > 0

    await eventually("the paste in the terminal", probe)


async def test_the_rest_of_a_paste_never_becomes_the_draft_of_the_next_console(
    tmux_daemon: Daemon, operator: Operator
) -> None:
    read = "prompt_toolkit.input.posix_utils:PosixStdinReader.read"  # 1 kB each
    await operator.sit_down(Death("after", read, 3), again=True)
    await tmux_daemon.start()
    sent = await tmux_daemon.api.send("\n".join(f"line {number}" for number in range(3000)))
    await operator.console_dead()
    await operator.console()
    assert (await tmux_daemon.api.final(sent["id"]))["state"] == "delivered"
    await operator.pane.submit("more")
    await heard(tmux_daemon, ["more"])


# -- orchestrator -> another program --------------------------------------------------------------


@pytest.mark.parametrize("point", TYPINGS, ids=name_of)
async def test_what_is_typed_into_another_program(
    point: Typing, tmux: Tmux, tmux_daemon: Daemon, tmp_path: Path
) -> None:
    """Die while typing: nobody can tell what became of it, and it is not said twice."""
    agent = Agent("prompt", tmp_path / "accepted")
    pane = await tmux.session(SESSION, *agent.command(), columns=100)
    await pane.shows(">")
    tmux_daemon.death = point.place
    await tmux_daemon.start()
    await receiving(tmux_daemon)
    message_id = await post(tmux_daemon, "hello", KEY)
    assert message_id is not None
    await dead(tmux_daemon, point.place)
    if point.drafted:
        await pane.shows("] hello")
    await next_life(tmux_daemon)
    assert (await tmux_daemon.api.final(message_id))["state"] == "unknown"
    again = await tmux_daemon.api.send("hello", key=KEY, wait_s=20)
    assert (again["id"], again["state"]) == (message_id, "unknown")
    assert [text.endswith("] hello") for text in agent.accepted()] == [True] * point.accepted
    shown = await pane.capture()
    assert shown.count("hello") == (point.drafted or point.accepted)
