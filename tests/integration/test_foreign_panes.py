from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from fleetchatd.connectors.tmux.reader import look_command, parse_look, read
from fleetchatd.tmux import submission
from fleetchatd.tmux.badge import OPTION, Badge
from fleetchatd.tmux.control import ControlClient
from fleetchatd.tmux.processes import foreground
from fleetchatd.tmux.server import Server
from fleetchatd.tmux.submission import Activity, NotNow, Refused, Unverified, submit
from tests.harness.agents import Agent
from tests.harness.tmux import Terminal, Tmux
from tests.harness.waiting import eventually

ADDRESS = "[web1:mos~k3 -> web1:operator] "
SHIP = ADDRESS + "ship it"

Submit = Callable[..., Awaitable[None]]


@asynccontextmanager
async def submitter(pane: Terminal) -> AsyncIterator[Submit]:
    """A control connection to the pane's session, and `submit` over it."""
    activity = Activity()
    session = await pane.ask("#{session_name}")
    client = await ControlClient.attach(Server(str(pane.tmux.socket)), session, activity.heard)

    async def run(text: str, draft: str | None = None) -> None:
        await submit(client, activity, pane.id, text, draft=draft)

    try:
        yield run
    finally:
        await client.close()


async def submit_to(pane: Terminal, text: str) -> None:
    async with submitter(pane) as run:
        await run(text)


async def start(tmux: Tmux, agent: Agent, columns: int = 80) -> Terminal:
    """A pane with an agent that has drawn its prompt."""
    pane = await tmux.session("agent", *agent.command(), columns=columns)
    if agent.kind not in ("lines", "slow"):
        await pane.shows(">")
    else:
        await running(pane, "python")
    return pane


async def running(pane: Terminal, program: str) -> None:
    """Wait until `program` is among those that read the pane's terminal."""

    async def probe() -> bool:
        members = foreground(int(await pane.ask("#{pane_pid}")))
        return any(one.comm.startswith(program) for one in members)

    await eventually(f"{program} running", probe)


async def accepted(agent: Agent, *texts: str) -> None:
    """Wait until the agent has taken these and nothing else."""

    async def probe() -> bool:
        return len(agent.accepted()) >= len(texts)

    await eventually("the agent to take it", probe)
    assert agent.accepted() == list(texts)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits, for what is to go wrong."""
    monkeypatch.setattr(submission, "READY_S", 0.3)
    monkeypatch.setattr(submission, "SETTLE_S", (0.12, 0.12, 0.12))
    monkeypatch.setattr(submission, "UNREAD_S", 0.3)


TEXTS = {
    "a line": "ship it",
    "nasty": "$HOME `id` \"q\" 'q' \\n #{pane_id} #(id) ; | & {x} %1 ~ !! \t tab end;",
    "several lines": "first\n\n  indented\nlast",
    "wide": "日本語 👩‍💻 café ünï " * 8,
    "20 kB": "\n".join(f"{number:04d} " + "x" * 195 for number in range(100)),
    "one long line": "y" * 20_000,
    "a short last line": "is it\nok",
}


@pytest.mark.parametrize("columns", [20, 80])
@pytest.mark.parametrize("kind", ["prompt", "framed"])
@pytest.mark.parametrize("name", TEXTS)
async def test_an_agent_that_swallows_an_early_enter_gets_it_as_it_is(
    tmux: Tmux, tmp_path: Path, kind: str, name: str, columns: int
) -> None:
    agent = Agent(kind, tmp_path / "log")
    pane = await start(tmux, agent, columns=columns)
    await submit_to(pane, ADDRESS + TEXTS[name])
    await accepted(agent, ADDRESS + TEXTS[name])


async def test_one_after_the_other_arrives_in_order(tmux: Tmux, tmp_path: Path) -> None:
    agent = Agent("prompt", tmp_path / "log")
    async with submitter(await start(tmux, agent)) as run:
        for number in range(5):
            await run(f"{ADDRESS}{number}")
    await accepted(agent, *(f"{ADDRESS}{number}" for number in range(5)))


async def test_control_characters_never_reach_the_pane(tmux: Tmux, tmp_path: Path) -> None:
    agent = Agent("prompt", tmp_path / "log")
    pane = await start(tmux, agent)
    await submit_to(pane, ADDRESS + "a\x1b[201~\x03\x04b\x9b2Jc\r\nd\re\n\n")
    await accepted(agent, ADDRESS + "a[201~b2Jc\nd\ne")


async def test_cat_gets_a_line_as_long_as_its_terminal_takes_and_no_longer(tmux: Tmux) -> None:
    pane = await tmux.session("agent", "cat")
    await running(pane, "cat")
    async with submitter(pane) as run:
        longest = ADDRESS + "ü" * ((4095 - len(ADDRESS)) // 2)
        await run(longest)
        await pane.shows(longest, times=2)
        with pytest.raises(Refused, match="4096 bytes"):
            await run(longest.ljust(4096 - longest.count("ü"), "."))
        await run(f"{ADDRESS}one\ntwo")
    shown = await pane.shows("two", times=2)
    assert "....." not in shown


async def test_a_python_prompt_takes_it(tmux: Tmux) -> None:
    pane = await tmux.session("agent", sys.executable, "-q", columns=40)
    await pane.shows(">>>")
    async with submitter(pane) as run:
        await run("print('the answer is', 6 * 7, '" + "wide " * 20 + "')")
        await run("1 +")
        await run("7 * 6 - 1")
    shown = await pane.shows("\n41\n")
    assert "the answer is 42 wide" in shown
    assert "SyntaxError" in shown


@pytest.mark.usefixtures("patience")
async def test_what_is_never_accepted_stands_there_once_however_often_it_is_tried(
    tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("deaf", tmp_path / "log")
    pane = await start(tmux, agent)
    draft: str | None = None
    async with submitter(pane) as run:
        for _ in range(2):
            with pytest.raises(Unverified, match="did not accept it") as failure:
                await run(SHIP, draft)
            draft = failure.value.draft
    assert (await pane.capture(history=False)).count("ship it") == 1
    assert agent.accepted() == []


@pytest.mark.usefixtures("patience")
async def test_a_draft_that_is_shown_in_another_form_is_not_pasted_again(
    tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("folding", tmp_path / "log")
    pane = await start(tmux, agent)
    draft: str | None = None

    async def again() -> bool:
        nonlocal draft
        try:
            await run(SHIP, draft)
        except Unverified as failure:
            draft = failure.draft
            return False
        return True

    async with submitter(pane) as run:
        assert not await again()
        assert draft is not None
        await eventually("it to be accepted", again)
    await accepted(agent, SHIP)


@pytest.mark.usefixtures("patience")
async def test_a_draft_of_ours_is_submitted_and_not_pasted_again(
    tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("framed", tmp_path / "log")
    pane = await start(tmux, agent, columns=30)
    text = ADDRESS + "a text that wraps\nand has two lines"
    await pane.paste(text.replace("\n", "\r"), bracketed=True)
    await pane.shows("two lines")
    await submit_to(pane, text)
    await accepted(agent, text)


async def test_a_draft_of_ours_in_a_line_buffered_terminal_is_typed_anew(
    tmux: Tmux, tmp_path: Path
) -> None:
    agent = Agent("lines", tmp_path / "log")
    pane = await start(tmux, agent)
    await pane.type(SHIP)
    await pane.shows(SHIP)
    await submit_to(pane, SHIP)
    await accepted(agent, SHIP)


async def test_while_somebody_reads_back_it_waits(tmux: Tmux, tmp_path: Path) -> None:
    agent = Agent("prompt", tmp_path / "log")
    pane = await start(tmux, agent)
    await tmux.run("copy-mode", "-t", pane.id)
    async with submitter(pane) as run:
        waiting = asyncio.gather(run(f"{ADDRESS}two\nlines"))
        await asyncio.wait([waiting], timeout=0.3)
        assert not waiting.done()
        await tmux.run("send-keys", "-t", pane.id, "-X", "cancel")
        await waiting
    await accepted(agent, f"{ADDRESS}two\nlines")


@pytest.mark.usefixtures("patience")
async def test_whoever_reads_back_for_long_is_not_disturbed(tmux: Tmux, tmp_path: Path) -> None:
    agent = Agent("prompt", tmp_path / "log")
    pane = await start(tmux, agent)
    await tmux.run("copy-mode", "-t", pane.id)
    with pytest.raises(NotNow, match="copy mode"):
        await submit_to(pane, SHIP)
    assert await pane.ask("#{pane_in_mode}") == "1"
    assert "ship it" not in await pane.capture()


async def test_synchronised_panes_get_nothing_of_it(tmux: Tmux, tmp_path: Path) -> None:
    agent, other = Agent("prompt", tmp_path / "log"), Agent("prompt", tmp_path / "other")
    pane = await start(tmux, agent)
    await tmux.run("split-window", "-d", "-t", pane.id, shlex.join(other.command()))
    await tmux.run("set-option", "-w", "-t", pane.id, "synchronize-panes", "on")
    second = (await tmux.panes("agent"))[1]
    await second.shows(">")
    await submit_to(pane, SHIP)
    await accepted(agent, SHIP)
    assert other.accepted() == []
    assert "ship" not in await second.capture()


# -- shells ------------------------------------------------------------------------------------


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


@pytest.mark.usefixtures("patience")
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


@pytest.mark.usefixtures("patience")
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


@pytest.mark.usefixtures("patience")
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


# -- reading -----------------------------------------------------------------------------------


async def test_what_is_said_in_a_pane_is_read_off_it_once(tmux: Tmux) -> None:
    pane = await tmux.session("agent", "cat", columns=20)
    await running(pane, "cat")
    text = "a line that wraps, 日本語 ünd ~ "
    said = f"[web1:bot -> web1:mos#deploy] {text}"
    position: str | None = None
    texts: list[str] = []
    client = await ControlClient.attach(Server(str(tmux.socket)), "agent", lambda _: None)

    async def look() -> None:
        nonlocal position
        seen = parse_look(pane.id, await client.run(look_command(pane.id)))
        assert seen is not None
        reading = read(position, seen, "web1:mos")
        position = reading.position
        texts.extend(line.text for line in reading.lines)

    try:
        await look()
        for number in range(4):
            await pane.type(f"{said}{number}")
            await pane.shows(f"{said}{number}")
            await look()  # it is still being typed
            await pane.keys("Enter")
            await pane.shows(f"{said}{number}", times=2)
            await look()
            await (pane.resize(100) if number == 1 else pane.clear_history())
            await look()
    finally:
        await client.close()
    assert texts == [f"{text}{number}" for number in range(4)]


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
