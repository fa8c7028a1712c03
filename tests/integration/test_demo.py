"""`make demo`, which is the first thing that people try."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.synapse_install import REPOSITORY, ensure_installed
from tests.harness.waiting import eventually

LONGEST_S = 120.0
ALL_IS_WELL = "arrived, none lost, none doubled, in order."


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the demo keeps its things; it has to leave nothing there, running or lying about."""
    ensure_installed()
    short = tmp_path_factory.mktemp("demo")  # a socket's path must fit 107 bytes
    yield short
    assert list(short.iterdir()) == []
    assert running_in(short) == []


async def play(place: Path) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "tools.demo"),
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(place)},
        stdout=PIPE,
        stderr=STDOUT,
    )


def running_in(place: Path) -> list[str]:
    """The command lines of the processes that have to do with `place`."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if str(place) in line:
            lines.append(line)
    return lines


async def test_the_demo_ends_well_although_it_kills_the_daemon(place: Path) -> None:
    demo = await play(place)
    async with asyncio.timeout(LONGEST_S):
        said, _ = await demo.communicate()
    lines = said.decode().splitlines()
    assert demo.returncode == 0, said.decode()
    assert "kill -9" in said.decode()
    assert [line.endswith(ALL_IS_WELL) for line in lines[-2:]] == [True, True], lines


async def test_a_demo_that_is_interrupted_takes_all_it_started_with_it(place: Path) -> None:
    demo = await play(place)
    assert demo.stdout is not None
    async with asyncio.timeout(LONGEST_S):
        async for line in demo.stdout:
            if b"ann" in line and b"mos" in line:
                break
        demo.send_signal(signal.SIGTERM)
        await demo.communicate()
    assert demo.returncode == 130
    await eventually("its children gone", lambda: none_running_in(place))


async def none_running_in(place: Path) -> bool:
    return not running_in(place)
