"""Typed into an agent's pane: it is there whole and once, or the reason is known."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path

import pytest

from fleetchatd.tmux.submission import NotNow, Refused, Unverified
from tests.harness.agents import Agent
from tests.harness.tmux import Tmux
from tests.harness.typed import ADDRESS, SHIP, accepted, running, start, submit_to, submitter
from tests.harness.waiting import eventually

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


@pytest.mark.usefixtures("short_patience")
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


@pytest.mark.usefixtures("short_patience")
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


@pytest.mark.usefixtures("short_patience")
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


@pytest.mark.usefixtures("short_patience")
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
