"""How a console begins, lives in its pane and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from functools import partial
from pathlib import Path

from fleetchatd.tmux import badge
from fleetchatd.tmux.processes import start_time
from tests.harness.console import Stage
from tests.harness.tmux import PROGRAMS, Terminal
from tests.harness.waiting import eventually


async def test_the_console_wears_its_badge_while_it_runs(stage: Stage) -> None:
    pane = await stage.open()
    own = await stage.tmux.session("other")
    await own.submit(" ".join(stage.command))
    other = Stage(stage.tmux, stage.state_dir.parent)
    other.pane = own
    for number in (signal.SIGTERM, signal.SIGHUP):
        await other.ready()
        os.kill(await other.console_pid(), number)
        await eventually("the console left", lambda: was_left(other))
        await own.submit(" ".join(stage.command))
    assert await stage.badge()
    await pane.kill()


async def test_a_console_ends_with_its_pane_and_with_its_server(stage: Stage) -> None:
    await stage.tmux.session("another")
    for end in (Terminal.kill, lambda pane: pane.tmux.kill()):
        pane = await stage.open()
        pid = await stage.console_pid()
        await pane.type("a draft")
        await end(pane)
        await eventually("the console's end", partial(has_ended, pid))


async def test_an_idle_console_uses_no_processor(stage: Stage) -> None:
    await stage.open()
    await stage.daemon_comes()
    await stage.say("hello")
    pid = await stage.console_pid()
    await asyncio.sleep(1)  # prompt_toolkit waits for the rest of a key for half a second
    before = processor_time_ns(pid)
    await asyncio.sleep(2)
    assert processor_time_ns(pid) - before < 2_000_000


async def test_a_terminal_that_is_not_the_panes_own_is_refused(stage: Stage) -> None:
    pane = await stage.open()
    other = await stage.tmux.session("other")
    await other.submit(f"TMUX_PANE={pane.id} {' '.join(stage.command)}; echo exit $?")
    await other.shows("this terminal is not the pane's own")
    await other.shows("\nexit 2")


async def test_a_state_directory_that_cannot_be_made_is_named(stage: Stage) -> None:
    pane = await stage.tmux.session("operator")
    await pane.submit("fleetchat console --state-dir /proc/nowhere; echo exit $?")
    await pane.shows("cannot make /proc/nowhere")
    await pane.shows("\nexit 1")


def test_outside_of_tmux_the_console_says_where_to_start_it(tmp_path: Path) -> None:
    program = str(PROGRAMS / "fleetchat")
    command = [program, "console", "--state-dir", str(tmp_path / "state")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "tmux pane" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "state").exists()


async def has_ended(pid: int) -> bool:
    return start_time(pid) is None


async def was_left(stage: Stage) -> bool:
    return await stage.badge() == badge.LEFT


def processor_time_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
