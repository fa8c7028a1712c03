"""The front page, typed by somebody new."""

from __future__ import annotations

from tests.docs.shell import Newcomer
from tests.harness.documents import tested_blocks
from tests.harness.rooms import Room
from tests.harness.rosters import write_roster
from tests.harness.synapse_install import REPOSITORY


async def test_make_run_is_a_conversation(newcomer: Newcomer) -> None:
    (typed,) = tested_blocks("test_make_run_is_a_conversation")
    running = newcomer.leave_running(f"cd {REPOSITORY}", typed)
    await newcomer.until_well()
    said = [line.strip().split("   ")[0] for line in running.log_text().splitlines()]
    (attach,) = [line for line in said if line.startswith("tmux ")]
    (send,) = [line for line in said if " send " in line]
    pane = await newcomer.terminal(attach)
    await pane.shows("/help")
    await newcomer.type(f"cd {REPOSITORY}", send)
    await pane.shows("  hello")
    await pane.submit("hello yourself")
    await pane.shows("kept")
    assert "fleetchatd is ready" in await newcomer.stop(running)


async def test_the_quick_start_in_tmux_is_a_conversation(newcomer: Newcomer) -> None:
    write_roster(newcomer.home / "roster.yaml", None)
    (typed,) = tested_blocks("test_the_quick_start_in_tmux_is_a_conversation")
    start, attach, send, read = typed.splitlines()
    newcomer.leave_running(start)
    await newcomer.until_well()
    await newcomer.type(read)  # from now on, there is somebody to speak to
    pane = await newcomer.terminal(attach)
    await pane.shows("/help")
    await newcomer.type(send)
    await pane.shows("The build is green.")
    await pane.submit("Then ship it.")
    await pane.shows("kept")
    assert "Then ship it." in await newcomer.type(read)


async def test_the_quick_start_on_matrix_is_a_conversation(newcomer: Newcomer, room: Room) -> None:
    newcomer.instead = {
        "https://matrix.example.org": room.synapse.base_url,
        "@mos:example.org": room.bot.user_id,
        "!abc:example.org": room.room_id,
        "MATRIX_ACCESS_TOKEN=…": f"MATRIX_ACCESS_TOKEN={room.bot.access_token}",
    }
    start, talk = tested_blocks("test_the_quick_start_on_matrix_is_a_conversation")
    newcomer.leave_running(start)
    await newcomer.until_well()
    send, read, follow, health = talk.splitlines()
    await newcomer.type(send, read)
    await room.human.hears("The build is **green**.")
    await room.human.say("Then ship it.")
    reader = newcomer.leave_running(follow)
    await newcomer.writes(reader, "Then ship it.")
    assert "ok" in await newcomer.type(health)
