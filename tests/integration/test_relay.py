from __future__ import annotations

import asyncio
import os
import random
import re
import shlex
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.agents import Agent
from tests.harness.child import Child
from tests.harness.daemon import Daemon
from tests.harness.documents import tested_blocks
from tests.harness.rooms import MakeDaemon
from tests.harness.tmux import PROGRAMS, Terminal, Tmux
from tests.harness.waiting import eventually

HOST = os.uname().nodename.partition(".")[0]
ADDRESS = re.compile(rf"\[memory:human~(\d+) -> {re.escape(HOST)}:agent class=human\] ")


@pytest_asyncio.fixture
async def echo(make_daemon: MakeDaemon) -> Daemon:
    """A daemon whose chat says back whatever it is told."""
    made = make_daemon(echo=True)
    await made.start()
    return made


@pytest_asyncio.fixture
async def relay(echo: Daemon, tmux: Tmux, tmp_path: Path) -> AsyncIterator[Child]:
    """A relay to the pane of the session `agent`; its subscriber `mos` exists already."""
    await echo.api.pending(subscriber="mos")
    child = Child("fleetchat relay", tmp_path / "relay.log")
    start_relay(child, echo, tmux)
    try:
        yield child
    finally:
        if child.running:
            await child.end(signal.SIGKILL)


def start_relay(child: Child, daemon: Daemon, tmux: Tmux) -> None:
    words = ["relay", "--name", "mos", "--pane", "=agent:", "--socket-name", str(tmux.socket)]
    command = [str(PROGRAMS / "fleetchat"), "--socket", str(daemon.socket), *words]
    child.spawn(command, {"PATH": os.environ["PATH"]}, daemon.directory)


def received(agent: Agent) -> list[str]:
    """The texts that the agent took, each once."""
    numbers: list[int] = []
    texts = []
    for line in agent.accepted():
        match = ADDRESS.match(line)
        assert match, line
        if int(match[1]) not in numbers:
            numbers.append(int(match[1]))
            texts.append(line[match.end() :])
    assert numbers == sorted(numbers)
    return texts


async def delivered(daemon: Daemon, agent: Agent, *texts: str) -> None:
    """Wait until the agent has these, and all is acknowledged."""

    async def probe() -> bool:
        subscriber = (await daemon.api.subscribers())[0]
        return len(received(agent)) >= len(texts) and subscriber["lag"] == 0

    await eventually("the agent to have everything", probe, timeout_s=40)
    assert received(agent) == list(texts)


async def says(child: Child, words: str, times: int = 1) -> None:
    """Wait until the relay has said something."""

    async def probe() -> bool:
        return child.log_text().count(words) >= times

    await eventually(f"the relay to say {words!r}", probe)


async def agent_pane(tmux: Tmux, agent: Agent) -> Terminal:
    pane = await tmux.session("agent", *agent.command())
    await pane.shows(">")
    return pane


async def test_an_idle_agent_is_woken(
    echo: Daemon, relay: Child, tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("prompt", tmp_path / "log")
    await agent_pane(tmux, agent)
    texts = ["ship it", "several\n\nlines", "日本語 $HOME `x`", *(f"{n}" for n in range(5))]
    for text in texts:
        await echo.api.send(text)
    await delivered(echo, agent, *texts)
    assert len(agent.accepted()) == len(texts)
    assert relay.log_text() == ""


async def test_a_thread_is_the_tag_of_the_address(
    echo: Daemon, relay: Child, tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("prompt", tmp_path / "log")
    await agent_pane(tmux, agent)
    await echo.api.send("ship it", thread_id="$root:example.internal")

    async def probe() -> list[str]:
        return agent.accepted()

    (line,) = await eventually("the agent to have it", probe)
    assert f"-> {HOST}:agent#$root:example.internal class=human] ship it" in line


async def test_whatever_is_killed_nothing_is_lost_and_all_in_order(
    echo: Daemon, relay: Child, tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("prompt", tmp_path / "log")
    await agent_pane(tmux, agent)
    texts = [f"text {number}" for number in range(12)]
    for text in texts:
        await echo.api.send(text)
    for number in range(4):
        await asyncio.sleep(random.uniform(0.2, 1.2))  # a moment of no meaning
        if number == 2:
            await echo.kill()
            await echo.start()
        else:
            await relay.end(signal.SIGKILL)
            start_relay(relay, echo, tmux)
    await delivered(echo, agent, *texts)


async def test_in_a_shell_it_waits_for_the_agent(
    echo: Daemon, relay: Child, tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("prompt", tmp_path / "log")
    pane = await tmux.session("agent", "bash", "--norc")
    await pane.shows("bash")
    await echo.api.send(f"; touch {tmp_path}/run")
    await says(relay, "only a shell runs in it (bash); it stays pending; trying again", times=2)
    assert "touch" not in await pane.capture()
    assert (await echo.api.subscribers())[0]["lag"] == 1
    await pane.submit(shlex.join(agent.command()))
    await delivered(echo, agent, f"; touch {tmp_path}/run")
    assert not (tmp_path / "run").exists()


async def test_without_tmux_or_pane_it_waits_for_them(
    echo: Daemon, relay: Child, tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("prompt", tmp_path / "log")
    await echo.api.send("first")
    await says(relay, "stays pending")
    await tmux.session("agents", "cat")  # another's name begins like ours
    await says(relay, "no such pane; it stays pending")
    await agent_pane(tmux, agent)
    await delivered(echo, agent, "first")
    await tmux.kill()
    await echo.api.send("second")
    await says(relay, "stays pending", times=3)
    await agent_pane(tmux, agent)
    await delivered(echo, agent, "first", "second")


async def test_what_is_not_accepted_stays_pending_and_so_does_what_follows(
    echo: Daemon, relay: Child, tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("deaf", tmp_path / "log")
    pane = await agent_pane(tmux, agent)
    await echo.api.send("ship it")
    await echo.api.send("another")
    await says(relay, "did not accept it")
    shown = await pane.capture(history=False)
    assert shown.count("ship it") == 1
    assert "another" not in shown
    assert (await echo.api.subscribers())[0]["lag"] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_in_the_middle_of_a_submission(
    echo: Daemon, relay: Child, tmux: Tmux, tmp_path: Path, number: signal.Signals
) -> None:
    agent = Agent("deaf", tmp_path / "log")
    pane = await agent_pane(tmux, agent)
    await echo.api.send("ship it")
    await pane.shows("ship it")
    assert await relay.end(number) == -number
    assert relay.log_text() == ""


async def test_the_guide_works(make_daemon: MakeDaemon, tmux: Tmux, tmp_path: Path) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    program, typed = tested_blocks("test_the_guide_works")
    (tmp_path / "agent.py").write_text(program)
    tmux.socket_name = "mosaic-fleet"  # a private one: TMUX_TMPDIR is this test's
    child = Child("the guide", tmp_path / "guide.log")
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    places = {"FLEETCHATD_SOCKET": str(daemon.socket), "PATH": path, "HOME": str(tmp_path)}
    child.spawn(
        ["/bin/sh", "-ec", typed + "wait\n"],
        places | tmux.env | {"LANG": "C.UTF-8"},
        tmp_path,
    )

    async def subscribed() -> bool:
        return any(one["connected"] for one in await daemon.api.subscribers())

    async def answered() -> bool:
        said = [one["text"] for one in await daemon.api.history(direction="out")]
        return "got: hello, agent" in said

    try:
        await eventually("the relay to subscribe", subscribed)
        await daemon.api.send("hello, agent")
        await eventually("the agent to answer", answered)
    finally:
        if child.running:
            os.killpg(child.pid, signal.SIGTERM)
            await child.ended()
