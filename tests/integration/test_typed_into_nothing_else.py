"""Shells, consoles, dead panes and programs that do not read: nothing is typed into them."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from fleetchatd.tmux import submission
from fleetchatd.tmux.badge import OPTION, Badge
from fleetchatd.tmux.control import ControlClient
from fleetchatd.tmux.server import Server
from fleetchatd.tmux.submission import Activity, NotNow, Refused, Unverified
from tests.harness.agents import Agent
from tests.harness.tmux import Tmux
from tests.harness.typed import ADDRESS, SHIP, accepted, running, start, submit_to, submitter
from tests.harness.waiting import eventually

SHELLS = {
    "plain": "exec bash --norc",
    "dash": "exec dash -i",
    "disguised by its argv[0]": "exec -a claude bash --norc",
    "disguised by a link": "ln -s /bin/bash agent; exec ./agent --norc",
    "a script": "while read line; do eval $line; done; true",
    "a shell of a shell's": "sh -i; true",
    "behind script": "exec script -q -c 'bash --norc' /dev/null",
    "behind su": "su root -c 'sh -i'; true",
    "behind ssh": "cp /bin/cat ssh; exec ./ssh",
    "behind docker": "cp /bin/cat docker; exec ./docker",
}


@pytest.mark.parametrize("which", SHELLS)
async def test_nothing_is_typed_into_a_shell(tmux: Tmux, tmp_path: Path, which: str) -> None:
    script = f"cd {tmp_path}; echo up; {SHELLS[which]}"
    pane = await tmux.session("agent", "bash", "-c", script)
    await pane.shows("up")
    with pytest.raises(Refused, match="a shell"):
        await submit_to(pane, SHIP)
    assert "ship" not in await pane.capture()


@pytest.mark.parametrize("wrapper", ["{}", "{}; true"])
async def test_an_agent_that_a_shell_has_started_gets_it(
    tmux: Tmux, tmp_path: Path, wrapper: str
) -> None:
    agent = Agent("prompt", tmp_path / "log")
    script = wrapper.format(shlex.join(agent.command()))
    pane = await tmux.session("agent", "bash", "-c", script)
    await pane.shows(">")
    await submit_to(pane, SHIP)
    await accepted(agent, SHIP)


@pytest.mark.usefixtures("short_patience")
async def test_a_tool_of_the_agents_that_may_hide_a_shell_is_waited_for(
    tmux: Tmux, tmp_path: Path
) -> None:
    tool = tmp_path / "ssh"
    tool.symlink_to("/bin/sleep")
    program = f"import subprocess; subprocess.run(['{tool}', '60']); input()"
    pane = await tmux.session("agent", sys.executable, "-c", program)
    await running(pane, "ssh")
    with pytest.raises(NotNow, match="ssh"):
        await submit_to(pane, SHIP)
    assert "ship" not in await pane.capture()


async def test_no_enter_follows_when_a_shell_has_taken_over_meanwhile(
    tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("leaving", tmp_path / "log")
    pane = await tmux.session("agent", "bash", "--norc")
    await pane.submit(shlex.join(agent.command()))
    await pane.shows(">")
    evil = f"; touch {tmp_path}/run;"
    with pytest.raises(Unverified, match="no Enter was sent"):
        await submit_to(pane, ADDRESS + evil)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("short_patience")
async def test_what_a_program_does_not_read_is_not_left_for_the_shell_behind_it(
    tmux: Tmux, tmp_path: Path
) -> None:
    pane = await tmux.session("agent", "bash", "--norc")
    await pane.submit(f"sleep 60; echo over; touch {tmp_path}/read")
    await running(pane, "sleep")
    with pytest.raises(NotNow, match="taken back"):
        await submit_to(pane, f"touch {tmp_path}/run")
    await pane.keys("C-c")
    await pane.submit("echo o''ver")
    await pane.shows("over")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("short_patience")
async def test_a_program_that_is_busy_gets_it_once_when_it_reads_again(
    tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("slow", tmp_path / "log")
    pane = await start(tmux, agent)
    async with submitter(pane) as run:
        with pytest.raises(NotNow, match="does not read"):
            await run(f"{ADDRESS}two\nlines")

        async def again() -> bool:
            with suppress(NotNow):
                await run(SHIP)
                return True
            return False

        await eventually("it to read again", again)
    await accepted(agent, SHIP)


async def test_a_pane_without_a_program_or_without_a_pane(tmux: Tmux) -> None:
    await tmux.session("keeper", "cat")
    pane = await tmux.session("agent", "cat")
    await tmux.run("set-option", "-p", "-t", pane.id, "remain-on-exit", "on")
    async with submitter(pane) as run:
        await pane.keys("C-d")
        await pane.dies()
        with pytest.raises(Refused, match="has ended"):
            await run(SHIP)
    other = await tmux.session("other", "cat")
    await tmux.run("split-window", "-d", "-t", other.id, "cat")
    async with submitter(other) as run:
        await other.kill()
        with pytest.raises(NotNow, match=f"no pane {other.id}"):
            await run(SHIP)


async def test_the_operators_console_is_no_agent(tmux: Tmux) -> None:
    pane = await tmux.session("operator", "cat")
    async with submitter(pane) as run:
        await tmux.run("set-option", "-p", "-t", pane.id, OPTION, Badge.own().value())
        with pytest.raises(Refused, match="console"):
            await run(SHIP)


async def test_a_program_that_ends_just_before_the_paste_takes_nothing_with_it(
    tmux: Tmux,
) -> None:
    """A paste into a dead pane ends tmux 3.3a's server, and every session on it."""
    pane = await tmux.session("agent", "cat")
    await tmux.run("set-option", "-w", "-t", pane.id, "remain-on-exit", "on")
    server = Server(str(tmux.socket))
    client = await ControlClient.attach(server, "agent", lambda notice: None)
    at_work = submission._Submission(client, Activity(), pane.id, SHIP)
    before = (await at_work._look()).pane
    os.kill(before.pid, signal.SIGKILL)
    await pane.dies()
    assert not await at_work._give(SHIP, "-p", f"{submission._same_command(before)},1")
    assert await tmux.is_running()
    await client.close()
