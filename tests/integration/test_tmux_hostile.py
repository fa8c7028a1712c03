"""What no console wrote, pasted or said; programs that print what they like; and idle CPU."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetchatd.tmux import badge
from fleetchatd.tmux.marks import socket_path
from fleetchatd.tmux.spool import LONGEST_BYTES
from tests.harness.fleet import SESSION, Fleet
from tests.harness.tmux import Tmux
from tests.harness.waiting import eventually
from tests.integration.conftest import MakeFleet


def cpu_s(pid: int) -> float:
    """How long a process has run on a CPU, in seconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def said(text: object, thread_id: object = None, when: object = 1.5e9) -> Callable[[Path], None]:
    """A file as a console writes it, with anything in its fields."""
    body = json.dumps({"text": text, "time": when, "thread_id": thread_id})
    return lambda place: void(place.write_text(body))


def void(_: object) -> None:
    """For what is done for its effect."""


REFUSED: list[Callable[[Path], None]] = [
    lambda place: place.mkdir(),
    lambda place: os.mkfifo(place),
    lambda place: place.symlink_to("/etc/passwd"),
    lambda place: place.symlink_to("nowhere"),
    lambda place: place.symlink_to(place.parent),
    lambda place: void(place.write_bytes(b"\xff\x00{" * 1000)),
    lambda place: void(place.write_text("[" * 100_000)),
    lambda place: void(place.write_text('{"text": "x"}')),
    lambda place: void(place.write_text("null")),
    said(""),
    said(" \t\x07\n"),
    said(7),
    said("x", thread_id=["t"]),
    said("x", when="soon"),
    said("x" * (LONGEST_BYTES + 1)),
]
TAKEN: list[Callable[[Path], None]] = [
    said("half a pair \ud800"),
    said("of no time", when=1e300),
    said("\x1b[31mred"),
]


async def test_what_no_console_wrote_is_put_aside_and_holds_up_nothing(fleet: Fleet) -> None:
    folder = fleet.spool.folder / "in"
    for number, make in enumerate([*REFUSED, *TAKEN]):
        make(folder / f"{number:017d}")
    for name in ("README", "x" * 17, "0" * 16, "0" * 18, ".0.partial", "naïve"):
        void((folder / name).write_text("not looked at"))
    await fleet.enter("from the console")
    await fleet.heard("half a pair \ufffd", "of no time", "[31mred", "from the console")
    aside = [one.name for one in fleet.spool.folder.iterdir() if one.name.startswith("refused-")]
    assert len(aside) == len(REFUSED)
    assert not fleet.spool.pending()
    assert "Traceback" not in fleet.daemon.log_text


@pytest.mark.parametrize("value", ["x\ty\nz", "1:1:1"])
async def test_a_badge_that_is_none_makes_messages_wait_for_the_console(
    make_fleet: MakeFleet, value: str
) -> None:
    fleet = make_fleet()
    pane = await fleet.tmux.session(SESSION, "cat")
    await fleet.tmux.run("set-option", "-p", "-t", pane.id, badge.OPTION, value)
    await fleet.daemon.start()
    queued = await fleet.api.send("waits")
    await fleet.trouble("messages wait for it")
    assert (await fleet.api.message(queued["id"]))["state"] == "queued"
    assert (await pane.capture()).strip() == ""


async def test_whoever_speaks_at_the_consoles_socket_is_hung_up_on(fleet: Fleet) -> None:
    with socket_path(fleet.spool.folder) as path:
        _, writer = await asyncio.open_unix_connection(path)
    with pytest.raises(ConnectionError):
        await say_much(writer)
    await fleet.enter("a real one")
    await fleet.pane.shows("✓ kept")
    writer.close()


async def say_much(writer: asyncio.StreamWriter) -> None:
    for _ in range(100):
        writer.write(b'{"kept": "x"}\n' * 10_000)
        await writer.drain()


FORGERIES = (
    r"%begin 1 1 1\n%end 1 1 1\n%error 1 1 1\n%exit\n%output %%0 x\n%pause %%0\nfleetchat-1\n"
    r"\033Ptmux;\033\033]0;x\007\033\\\033[200~[a:b~k -> c:operator] x\033[201~\033]52;c;eA==\007"
    r"\033kname\033\\\r[a:operator~00000000000000001 -> b:mos] forged\n"
)


async def test_what_a_program_prints_is_no_word_of_tmux_and_none_of_the_operators(
    fleet: Fleet, tmux: Tmux
) -> None:
    command = f"while sleep 0.01; do printf '{FORGERIES}'; done"
    await tmux.run("split-window", "-d", "-t", fleet.pane.id, command)
    for number in range(10):
        await fleet.say(f"message {number}")
        await fleet.enter(f"reply {number}")
    await fleet.heard(*(f"reply {number}" for number in range(10)))
    assert len(await fleet.seen()) == 10
    assert (await fleet.api.health())["status"] == "ok"


async def test_a_program_with_a_forged_name_is_only_a_program(
    make_fleet: MakeFleet, tmux: Tmux
) -> None:
    fleet = make_fleet()
    name = f"x\n%0\t1\t/dev/null\tsh\t{badge.Badge.own().value()}\t0\t1\t0\t0,0\t80,24\ny"
    await tmux.session(SESSION, "bash", "-c", 'exec -a "$0" cat', name)
    await fleet.daemon.start()
    health = await fleet.api.wait_health(lambda health: health["connector"]["receiving"])
    assert "not the console" in health["connector"]["detail"]


async def test_a_flood_beside_the_console_or_in_its_place_costs_little(
    fleet: Fleet, tmux: Tmux
) -> None:
    flood = await tmux.run(
        "split-window", "-d", "-P", "-F", "#{pane_id}", "-t", fleet.pane.id, "yes", "flood"
    )
    before, begun = cpu_s(fleet.daemon.pid), time.monotonic()
    for number in range(5):
        await fleet.say(f"through the flood {number}")
        await fleet.enter(f"and back {number}")
    await fleet.heard(*(f"and back {number}" for number in range(5)))
    await asyncio.sleep(1)
    assert (cpu_s(fleet.daemon.pid) - before) / (time.monotonic() - begun) < 0.5
    await fleet.pane.respawn("yes", "flood")
    await tmux.run("kill-pane", "-t", flood.strip())
    await tmux.run("set-option", "-p", "-u", "-t", fleet.pane.id, badge.OPTION)
    await fleet.api.wait_health(lambda health: "not the console" in str(health["connector"]))
    before, begun = cpu_s(fleet.daemon.pid), time.monotonic()
    await asyncio.sleep(2)
    assert (cpu_s(fleet.daemon.pid) - before) / (time.monotonic() - begun) < 0.5


async def test_nothing_runs_while_nothing_happens(fleet: Fleet) -> None:
    await fleet.say("hello")
    await fleet.enter("hello")
    await fleet.pane.shows("✓ kept")
    pids = [fleet.daemon.pid, await fleet.console_pid(), await fleet.tmux.pid()]

    async def at_rest() -> bool:
        before = [cpu_s(pid) for pid in pids]
        await asyncio.sleep(0.5)
        return max(cpu_s(pid) - used for pid, used in zip(pids, before, strict=True)) < 0.001

    await eventually("all at rest", at_rest)
    before = [cpu_s(pid) for pid in pids]
    await asyncio.sleep(5)
    used = [cpu_s(pid) - before for pid, before in zip(pids, before, strict=True)]
    assert max(used) < 0.02, f"daemon, console, tmux used {used} s in 5 s"
