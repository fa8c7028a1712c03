"""The front page, typed by somebody new."""

from __future__ import annotations

from tests.docs.dialogue import make_a_room, until_it_waits
from tests.docs.shell import Newcomer
from tests.harness.documents import tested_blocks
from tests.harness.synapse import Synapse
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
    start, attach, talk = tested_blocks("test_the_quick_start_in_tmux_is_a_conversation")
    newcomer.leave_running(start)
    await newcomer.until_well()
    console = await newcomer.terminal(attach)
    await console.shows("/help")
    orchestrator = await newcomer.terminal(talk)
    await console.shows("The build is green.")
    await until_it_waits(newcomer)
    await console.submit("Then ship it.")
    await orchestrator.shows("Then ship it.")


async def test_the_quick_start_on_matrix_is_a_conversation(
    newcomer: Newcomer, synapse: Synapse
) -> None:
    set_up, start, talk = tested_blocks("test_the_quick_start_on_matrix_is_a_conversation")
    bot, ann = await synapse.register(), await synapse.human()
    ann = await make_a_room(await newcomer.terminal(set_up), synapse, bot, ann)
    newcomer.leave_running(start)
    await newcomer.until_well()
    send, read, follow, health = talk.splitlines()
    waiting = newcomer.leave_running(send, read)
    await ann.hears("The build is **green**.")
    await until_it_waits(newcomer)
    await ann.say("Then ship it.")
    await newcomer.writes(waiting, "Then ship it.")
    await newcomer.ends(waiting)
    following = newcomer.leave_running(follow)
    await ann.say("And the docs?")
    await newcomer.writes(following, "And the docs?")
    assert "receiving" in await newcomer.type(health)
