"""Every process in and around the operator's pane ends, and nothing is lost, doubled or misled."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from fleetchatd.tmux.processes import start_time
from tests.harness.fleet import SESSION, Fleet
from tests.harness.tmux import Terminal, Tmux
from tests.harness.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHELL = ("bash", "--noprofile", "--norc", "-i")
Death = Callable[[Fleet], Awaitable[None]]


async def end_console(fleet: Fleet, number: signal.Signals) -> None:
    pid = await fleet.console_pid()
    os.kill(pid, number)

    async def probe() -> bool:
        return start_time(pid) is None

    await eventually("the console's end", probe, pause_s=0.01)


async def console_killed(fleet: Fleet) -> None:
    await end_console(fleet, signal.SIGKILL)


async def console_ended(fleet: Fleet) -> None:
    await end_console(fleet, signal.SIGTERM)


async def pane_killed(fleet: Fleet) -> None:
    await fleet.pane.kill()


async def session_killed(fleet: Fleet) -> None:
    await fleet.pane.kill_session()


async def server_killed(fleet: Fleet) -> None:
    await fleet.tmux.kill()


async def server_ended(fleet: Fleet) -> None:
    await fleet.tmux.run("kill-server")


async def connection_killed(fleet: Fleet) -> None:
    client = await fleet.tmux.run("list-clients", "-F", "#{client_pid}")
    os.kill(int(client), signal.SIGKILL)


async def daemon_killed(fleet: Fleet) -> None:
    await fleet.daemon.kill()
    await fleet.daemon.start()


async def daemon_ended(fleet: Fleet) -> None:
    await fleet.daemon.restart()


AROUND_THE_PANE: list[Death] = [
    console_killed,
    console_ended,
    pane_killed,
    session_killed,
    server_killed,
    server_ended,
]
OF_THE_DAEMON: list[Death] = [connection_killed, daemon_killed, daemon_ended]


def name(death: Death) -> str:
    return death.__name__


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """One for all of these: whatever ends comes back."""
    folder = tmp_path_factory.mktemp("fleet")
    made = Fleet(Tmux(folder / "t"), folder / "d")
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def told_since(fleet: Fleet, seq: int) -> list[str]:
    """The states that health has told since an event."""
    return [event["status"] for event in await fleet.api.pending(after=seq, types="connector")]


@pytest.mark.parametrize("death", AROUND_THE_PANE, ids=name)
async def test_whatever_ends_around_the_pane_is_started_again_and_what_is_queued_arrives_once(
    fleet: Fleet, death: Death
) -> None:
    await fleet.enter(f"before {name(death)}")
    (event,) = await fleet.heard(f"before {name(death)}")
    await death(fleet)
    queued = [await fleet.api.send(f"{number} after {name(death)}") for number in range(3)]
    assert await fleet.final(*queued) == ["delivered"] * 3
    assert await told_since(fleet, event["seq"]) == ["degraded", "ok"]
    await fleet.ready()
    assert await fleet.seen() == [message["text"] for message in queued]
    await fleet.enter("and back")
    await fleet.heard("and back")


@pytest.mark.parametrize("death", OF_THE_DAEMON, ids=name)
async def test_the_daemon_comes_back_to_the_same_console(fleet: Fleet, death: Death) -> None:
    pid, pane = await fleet.console_pid(), fleet.pane.id
    before = await fleet.seen()
    await fleet.pane.type("half ")
    await death(fleet)
    queued = [await fleet.api.send(f"{number} after {name(death)}") for number in range(3)]
    assert await fleet.final(*queued) == ["delivered"] * 3
    await fleet.ready()
    assert (await fleet.console_pid(), fleet.pane.id) == (pid, pane)
    assert await fleet.seen() == [*before, *(message["text"] for message in queued)]
    await fleet.enter("typed")
    await fleet.heard("half typed")


async def test_what_is_submitted_while_the_daemon_is_away_arrives_once_and_in_order(
    fleet: Fleet,
) -> None:
    queued = [await fleet.api.send(f"last word {number}") for number in range(3)]
    await fleet.daemon.kill()
    await fleet.pane.shows("fleetchatd is away")
    said = [f"while it is away {number}" for number in range(20)]
    for text in said[:10]:
        await fleet.enter(text)
    await fleet.pane.shows(said[9])
    await fleet.tmux.kill()
    fleet.pane = await fleet.tmux.session(SESSION, *fleet.console)
    await eventually("a console", fleet.badge)
    for text in said[10:]:
        await fleet.enter(text)
    await fleet.pane.shows("waiting for fleetchatd (20)")
    await fleet.daemon.start()
    await fleet.heard(*said)
    assert await fleet.final(*queued) == ["delivered"] * 3
    await fleet.pane.shows("kept")
    assert not fleet.spool.pending()


async def test_any_order_of_deaths_loses_and_doubles_nothing(fleet: Fleet) -> None:
    dice = random.Random(7)
    deaths = [*AROUND_THE_PANE, *OF_THE_DAEMON]
    said: list[str] = []
    queued = []
    for number, death in enumerate(dice.sample(deaths, 4)):
        said.append(f"said before death {number}")
        await fleet.enter(said[-1])
        await fleet.pane.shows(f"] {said[-1]}")  # shown as sent is kept
        queued.append(await fleet.api.send(f"queued before death {number}"))
        await death(fleet)
        queued.append(await fleet.api.send(f"queued after death {number}"))
        assert await fleet.final(*queued[-2:]) == ["delivered"] * 2
        await fleet.ready()
    await fleet.heard(*said)
    seen = await fleet.seen()
    assert len(seen) == len(set(seen))
    assert seen[-1] == queued[-1]["text"]


@pytest.mark.parametrize("where", ["the same pane", "another pane", "another window"])
async def test_nothing_reaches_the_shell_that_a_console_leaves_and_its_successor_gets_it_all(
    fleet: Fleet, where: str
) -> None:
    await fleet.daemon.kill()
    await fleet.tmux.kill()
    shell = await fleet.tmux.session(SESSION, *SHELL)  # the daemon takes what it finds
    await fleet.daemon.start()
    await shell.submit(" ".join(fleet.console))
    await fleet.ready()
    assert fleet.pane.id == shell.id
    await console_killed(fleet)
    await fleet.trouble("the console in pane", "has ended", "run `fleetchat console` there")
    queued = [await fleet.api.send(f"echo {number} in {where}") for number in range(3)]
    await daemon_killed(fleet)
    await fleet.trouble("has ended")
    assert [(await fleet.api.message(one["id"]))["state"] for one in queued] == ["queued"] * 3
    assert "echo" not in await shell.capture()
    pane = await successors_pane(shell, where)
    await pane.submit(" ".join(fleet.console))
    await fleet.ready()
    assert fleet.pane.id == pane.id
    assert await fleet.final(*queued) == ["delivered"] * 3
    assert await fleet.seen() == [message["text"] for message in queued]
    await fleet.enter("from the successor")
    await fleet.heard("from the successor")
    if pane.id != shell.id:
        assert "echo" not in await shell.capture()


async def successors_pane(shell: Terminal, where: str) -> Terminal:
    if where == "the same pane":
        return shell
    command = "split-window" if where == "another pane" else "new-window"
    there = ("-t", f"={SESSION}:")
    made = await shell.tmux.run(command, "-d", "-P", "-F", "#{pane_id}", *there, *SHELL)
    return Terminal(shell.tmux, made.strip())


async def test_a_console_that_starts_or_leaves_is_never_taken_for_another_program(
    fleet: Fleet,
) -> None:
    await fleet.daemon.kill()
    await fleet.tmux.kill()
    shell = await fleet.tmux.session(SESSION, *SHELL)
    await fleet.daemon.start()
    states = set()
    for keys in (" ".join(fleet.console), "/quit", " ".join(fleet.console)):
        await shell.submit(keys)
        for number in range(15):
            message = await fleet.api.send(f"echo {number}", wait_s=0.05)
            states.add((message["state"], message["error"]))
    await fleet.ready()
    errors = [error for state, error in states if state in ("failed", "unknown")]
    assert [error for error in errors if "only a shell runs in it" not in error] == []
    assert ":mos~" not in await shell.capture()
    await fleet.enter("my own words")
    await fleet.heard("my own words")


async def test_of_two_consoles_both_are_heard_and_the_one_that_lives_is_spoken_to(
    fleet: Fleet,
) -> None:
    first = fleet.pane
    made = await fleet.tmux.run(
        "new-window", "-d", "-P", "-F", "#{pane_id}", "-t", f"={SESSION}:", *fleet.console
    )
    second = Terminal(fleet.tmux, made.strip())

    async def both() -> bool:
        return bool(await fleet.badge(second))

    await eventually("two consoles", both)
    for text, pane in [("one", second), ("two", first), ("three", second)]:
        await pane.submit(text)
        await fleet.heard(text, timeout_s=5)
    await fleet.say("to the first")
    assert "to the first" not in await second.capture()
    await first.kill()
    await fleet.say("to the second")
    assert await fleet.seen(second) == ["to the second"]
    fleet.pane = second


async def test_five_hundred_messages_in_a_burst_arrive_in_order_each_way(fleet: Fleet) -> None:
    texts = [f"burst {number}" for number in range(500)]
    last = (await fleet.send_all(texts))[-1]
    assert (await fleet.api.final(last["id"], timeout_s=60))["state"] == "delivered"
    await fleet.pane.paste("".join(f"{text}\r" for text in texts))
    await fleet.heard(*texts, timeout_s=60)
    assert [text for text in await fleet.seen() if text.startswith("burst")] == texts
