"""No tmux, a stopped server, a full disk, another roster: health says so, and all waits."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from fleetchatd.tmux import badge
from tests.harness.fleet import SESSION, Fleet
from tests.harness.tmux import Tmux
from tests.harness.waiting import eventually
from tests.integration.conftest import MakeFleet


async def test_without_tmux_it_says_what_to_install_and_goes_on_once_it_is_there(
    make_fleet: MakeFleet, tmux: Tmux
) -> None:
    fleet = make_fleet()
    programs = tmux.directory / "programs"
    programs.mkdir()
    fleet.daemon.env["PATH"] = str(programs)
    await fleet.daemon.start()
    health = await fleet.trouble("cannot run tmux", "install it (apt install tmux)")
    assert health["status"] == "down"
    queued = await fleet.api.send("waits for tmux")
    found = shutil.which("tmux")
    assert found is not None
    (programs / "tmux").symlink_to(found)
    assert (await fleet.api.reload()).status == 200  # it would look by itself, within 30 s
    await fleet.ready()
    assert await fleet.final(queued) == ["delivered"]


async def test_a_socket_directory_that_tmux_refuses_is_named_and_looked_at_again(
    make_fleet: MakeFleet, tmux: Tmux
) -> None:
    fleet = make_fleet()
    tmux.socket.parent.mkdir()
    tmux.socket.parent.chmod(0o777)
    await fleet.daemon.start()
    await fleet.trouble(str(tmux.socket.parent), "unsafe permissions")
    tmux.socket.parent.chmod(0o700)
    await fleet.ready()


async def test_a_tmux_server_that_stops_for_a_while_loses_and_doubles_nothing(
    fleet: Fleet,
) -> None:
    pid, console = await fleet.tmux.pid(), await fleet.console_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        queued = await fleet.api.send("while it is stopped")
        await fleet.trouble("cannot reach session operator")
        assert (await fleet.api.message(queued["id"]))["state"] != "delivered"
        await asyncio.sleep(1)  # another connection is being tried
    finally:
        os.kill(pid, signal.SIGCONT)
    await fleet.ready()
    assert await fleet.final(queued) == ["delivered"]
    await fleet.enter("it goes on")
    await fleet.heard("it goes on")
    assert await fleet.seen() == ["while it is stopped"]
    assert (await fleet.tmux.pid(), await fleet.console_pid()) == (pid, console)


@pytest.fixture
def full_disk(make_fleet: MakeFleet) -> Iterator[Fleet]:
    """A daemon, not started yet, whose state directory is a disk of 2 MiB."""
    fleet = make_fleet()
    folder = fleet.daemon.state_dir
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}; run as root")
    try:
        yield fleet
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_on_a_full_disk_the_draft_stays_and_goes_out_once_there_is_room(
    full_disk: Fleet,
) -> None:
    fleet, ballast = full_disk, full_disk.daemon.state_dir / "ballast"
    await fleet.start()
    await fleet.say("before")
    with ballast.open("ab", buffering=0) as file:
        for size in (65536, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    await fleet.enter("my words")
    await fleet.pane.shows("No space left on device; nothing was sent, and Enter tries again")
    ballast.unlink()
    await fleet.pane.keys("Enter")
    await fleet.heard("my words")
    await fleet.say("after")
    assert await fleet.seen() == ["before", "after"]


async def test_a_folder_of_the_spool_that_cannot_be_used_is_named_and_mended(
    make_fleet: MakeFleet,
) -> None:
    fleet = make_fleet()
    fleet.spool.folder.mkdir(parents=True)
    (fleet.spool.folder / "in").write_text("not a folder")
    await fleet.daemon.start()
    health = await fleet.trouble("cannot make", str(fleet.spool.folder))
    assert health["status"] == "down"
    (fleet.spool.folder / "in").unlink()
    await fleet.ready()


async def test_queued_messages_follow_the_roster_from_tmux_to_another_and_back(
    make_fleet: MakeFleet,
) -> None:
    fleet = make_fleet()
    pane = await fleet.tmux.session(SESSION, "cat")
    await fleet.tmux.run("set-option", "-p", "-t", pane.id, badge.OPTION, badge.STARTING)
    await fleet.daemon.start()
    await fleet.trouble("has not started yet")
    fleet.daemon.reconfigure("memory")
    moved = await fleet.api.send("queued before the switch")
    bound = await fleet.api.send("of a thread", thread_id="deploy")
    assert (await fleet.api.reload()).status == 200
    assert await fleet.final(moved) == ["delivered"]
    assert (await fleet.api.health())["outbox"]["waiting"] == 1
    fleet.daemon.reconfigure("tmux", **fleet.settings)
    assert (await fleet.api.reload()).status == 200
    await fleet.trouble("has not started yet")
    await pane.respawn(*fleet.console)
    await fleet.ready()
    assert await fleet.final(bound) == ["delivered"]
    assert await fleet.seen() == ["of a thread"]


async def test_another_session_in_the_roster_is_moved_to_and_the_old_one_stays(
    fleet: Fleet,
) -> None:
    await fleet.say("in the first")
    fleet.daemon.reconfigure("tmux", **fleet.settings, session="bridge")
    assert (await fleet.api.reload()).status == 200
    first, fleet.session = fleet.pane, "bridge"
    await fleet.ready()
    assert fleet.pane.id != first.id
    await fleet.say("in the second")
    await fleet.enter("from the second")
    (event,) = await fleet.heard("from the second")
    assert event["sender_name"] == "bridge"
    assert await fleet.seen() == ["in the second"]
    assert await fleet.seen(first) == ["in the first"]
    assert len(await fleet.tmux.panes(SESSION)) == 1


async def test_the_operator_sees_what_is_kept_and_what_the_orchestrator_has_taken(
    fleet: Fleet,
) -> None:
    await fleet.client("read", "--name", "mos")
    await fleet.enter("first")
    await fleet.pane.shows("✓ kept")
    assert "first" in await fleet.client("read", "--name", "mos", "--wait", "5")
    await fleet.pane.shows("✓✓ taken by mos")
    await fleet.enter("second")
    await fleet.pane.shows("✓ kept")
    await fleet.daemon.restart()
    await fleet.ready()
    (event,) = (await fleet.heard("first", "second"))[1:]
    await fleet.client("ack", "--name", "mos", str(event["seq"]))
    await fleet.pane.shows("✓✓ taken by mos")


async def test_a_connection_that_is_cut_again_and_again_costs_no_message(fleet: Fleet) -> None:
    sent = []
    for number in range(5):
        clients = await fleet.tmux.run("list-clients", "-F", "#{client_pid}")
        for client in clients.split():
            os.kill(int(client), signal.SIGKILL)
        sent.append(await fleet.api.send(f"message {number}"))
    assert await fleet.final(*sent) == ["delivered"] * 5
    assert await fleet.seen() == [one["text"] for one in sent]

    async def one_client() -> bool:
        return len((await fleet.tmux.run("list-clients")).splitlines()) == 1

    await eventually("one connection", one_client)
