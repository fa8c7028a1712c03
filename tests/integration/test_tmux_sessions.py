"""The operator's session: started when it is missing, named exactly, and nobody else's touched."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.harness.fleet import SESSION
from tests.harness.tmux import Tmux
from tests.harness.waiting import eventually
from tests.integration.conftest import MakeFleet

SECRETS = {"MATRIX_ACCESS_TOKEN": "s3cret-m", "DISCORD_BOT_TOKEN": "s3cret-d", "NOTIFY_SOCKET": ""}


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_a_session_that_the_daemon_starts_outlives_it_and_holds_no_secret(
    make_fleet: MakeFleet, end: signal.Signals
) -> None:
    fleet = make_fleet()
    fleet.daemon.env |= SECRETS
    await fleet.start()
    seen = await fleet.tmux.run("show-environment", "-g")
    seen += await fleet.tmux.run("show-environment", "-t", f"={SESSION}:")
    seen += environment_of(await fleet.console_pid())
    assert "s3cret" not in seen
    assert "NOTIFY_SOCKET" not in seen
    pid = await fleet.console_pid()
    fleet.daemon.send_signal(end)
    await fleet.daemon.ended()
    await fleet.pane.shows("fleetchatd is away")
    assert await fleet.console_pid() == pid
    assert not await fleet.tmux.run("list-clients"), "a control client was left behind"


async def test_a_normal_start_is_no_trouble_in_the_log(make_fleet: MakeFleet) -> None:
    fleet = make_fleet()
    await fleet.start()
    await fleet.say("hello")
    await fleet.enter("hello")
    await fleet.heard("hello")
    await fleet.daemon.restart()
    await fleet.ready()
    assert await fleet.daemon.terminate() == 0
    log = fleet.daemon.log_text
    assert [line for line in log.splitlines() if '"level":"info"' not in line] == []


@pytest.mark.parametrize("session", ["oper", "two  words, #{pid} #(exit)", "a#[b##c~d é 漢;"])
async def test_a_session_is_named_exactly_whatever_signs_are_in_it(
    make_fleet: MakeFleet, session: str
) -> None:
    fleet = make_fleet(session=session)
    await fleet.tmux.session("operator2", "cat")
    await fleet.tmux.session("operators", "cat")
    await fleet.start()
    names = (await fleet.tmux.run("list-sessions", "-F", "#{session_name}")).splitlines()
    assert sorted(names) == sorted(["operator2", "operators", session])
    await fleet.enter("to mos")
    await fleet.heard("to mos")
    await fleet.say("to the operator")
    assert await fleet.seen() == ["to the operator"]


async def test_other_sessions_panes_and_servers_are_never_touched(
    make_fleet: MakeFleet, tmux: Tmux, tmp_path: Path
) -> None:
    other = Tmux(tmp_path / "t")
    cats = [
        await server.session(f"operator{number}", "cat")
        for number in (1, 2)
        for server in (tmux, other)
    ]
    for number, cat in enumerate(cats):
        await cat.type(f"draft {number}")
        await cat.shows(f"draft {number}")
    everything = "#{session_name} #{pane_id} #{pane_pid} #{pane_width}x#{pane_height}"

    async def state() -> list[str]:
        found = [await cat.capture() for cat in cats]
        for server in (tmux, other):
            found.append(
                await server.run(
                    "list-panes", "-a", "-f", "#{m:operator?,#{session_name}}", "-F", everything
                )
            )
            found.append(await server.run("list-buffers"))
            found.append(await server.run("show-options", "-g"))
            found.append(await server.run("show-environment", "-g"))
        return found

    try:
        before = await state()
        fleet = make_fleet()
        await fleet.start()
        split = await tmux.run(
            "split-window", "-d", "-P", "-F", "#{pane_id}", "-t", fleet.pane.id, "cat"
        )
        await tmux.run("set-option", "-w", "-t", fleet.pane.id, "synchronize-panes", "on")
        await fleet.say("said to the console alone")
        os.kill(await fleet.console_pid(), signal.SIGKILL)
        await tmux.run("kill-session", "-t", f"={SESSION}")
        await fleet.say("and to its successor")
        await fleet.daemon.restart()
        await fleet.ready()
        assert await state() == before
        assert split
    finally:
        await other.close()


@pytest.mark.parametrize(
    "ending", [("rename-session", "elsewhere"), ("kill-session",)], ids=["renamed", "killed"]
)
async def test_where_the_session_is_gone_nothing_goes_to_one_with_a_similar_name(
    make_fleet: MakeFleet, tmux: Tmux, ending: tuple[str, ...]
) -> None:
    similar = await tmux.session("operator2", "cat")
    await tmux.run("set-option", "-g", "detach-on-destroy", "off")  # our connection would stay
    fleet = make_fleet()
    await fleet.start()
    command, *name = ending
    await tmux.run(command, "-t", f"={SESSION}:", *name)
    await fleet.say("to its successor")
    assert (await similar.capture()).strip() == ""


@pytest.mark.parametrize(
    "ending", [("rename-session", "elsewhere"), ("kill-session",)], ids=["renamed", "killed"]
)
async def test_a_session_that_takes_the_name_at_the_same_moment_is_listened_to(
    make_fleet: MakeFleet, tmux: Tmux, ending: tuple[str, ...]
) -> None:
    await tmux.session("other", "cat")
    await tmux.run("set-option", "-g", "detach-on-destroy", "off")
    fleet = make_fleet()
    await fleet.start()
    before = fleet.pane.id
    command, *name = ending
    anew = ("new-session", "-d", "-s", SESSION, *fleet.console)
    await tmux.run(command, "-t", f"={SESSION}:", *name, ";", *anew)

    async def there() -> bool:
        await fleet.ready()
        return fleet.pane.id != before and await fleet.badge() is not None

    await eventually("the new console", there)
    await fleet.enter("from the new console")
    await fleet.heard("from the new console")


async def test_the_console_s_neighbour_panes_get_nothing(make_fleet: MakeFleet, tmux: Tmux) -> None:
    fleet = make_fleet()
    await fleet.start()
    made = await tmux.run("split-window", "-P", "-F", "#{pane_id}", "-t", fleet.pane.id, "cat")
    (neighbour,) = [pane for pane in await tmux.panes(SESSION) if pane.id == made.strip()]
    await tmux.run("set-option", "-w", "-t", fleet.pane.id, "synchronize-panes", "on")
    await fleet.say("to the pinned pane, though another is active")
    assert (await neighbour.capture()).strip() == ""
    await fleet.daemon.restart()
    await fleet.ready()
    await fleet.say("also after a restart")
    assert (await neighbour.capture()).strip() == ""
    assert len(await fleet.seen()) == 2


async def test_a_command_that_ends_at_once_is_not_started_in_a_storm(
    make_fleet: MakeFleet, tmux: Tmux
) -> None:
    await tmux.session("_holder", "cat")
    commands = [["sleep", "0.1"], ["fleetchat", "console", "--no-such-option"], ["no-such-program"]]
    fleets = [make_fleet(command=command, session=command[0]) for command in commands]
    for fleet in fleets:
        await fleet.daemon.start()
    queued = [await fleet.api.send("waits") for fleet in fleets]
    await asyncio.sleep(3)
    for fleet, message, command in zip(fleets, queued, commands, strict=True):
        assert 2 <= fleet.daemon.log_text.count("started the operator's session") <= 6
        await fleet.trouble("it ended as soon as it was started", f"`{' '.join(command)}` runs")
        assert (await fleet.api.message(message["id"]))["state"] == "queued"


async def test_a_custom_command_is_typed_into_once_it_has_started(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(command=["sh", "-c", "sleep 1; stty -echo; exec cat"])
    await fleet.daemon.start()
    queued = await fleet.api.send("for the program")
    assert await fleet.final(queued) == ["delivered"]

    async def shown() -> bool:
        (pane,) = await fleet.tmux.panes(SESSION)
        return "] for the program\n" in await pane.capture()

    await eventually("the program's copy", shown)
