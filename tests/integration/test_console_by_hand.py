"""A console that the operator starts, and not the daemon."""

from __future__ import annotations

from pathlib import Path

from tests.harness.daemon import Daemon
from tests.harness.tmux import PROGRAMS, Tmux


async def test_it_finds_the_state_directory_of_the_daemon_whose_session_it_is_in(
    tmux: Tmux, tmp_path: Path
) -> None:
    pane = await tmux.session("operator", "cat")
    daemon = Daemon(tmp_path, kind="tmux", settings={"socket_name": tmux.socket_name}, env=tmux.env)
    await daemon.start()
    try:
        await daemon.api.wait_health(lambda health: health["connector"]["receiving"])
        await pane.respawn(str(PROGRAMS / "fleetchat"), "console")
        await pane.shows("/help")
        await pane.submit("here I am")
        async with daemon.api.events(after=0, types="message") as stream:
            said = await stream.next()
        assert (said["text"], said["class"]) == ("here I am", "human")
        assert (await daemon.api.send("I see you", wait_s=10))["state"] == "delivered"
        await pane.shows("I see you")
    finally:
        await daemon.close()


async def test_one_of_another_state_directory_is_not_taken_for_ours(
    tmux: Tmux, tmp_path: Path
) -> None:
    pane = await tmux.session(
        "operator", str(PROGRAMS / "fleetchat"), "console", "--state-dir", str(tmp_path / "other")
    )
    await pane.shows("is away")
    daemon = Daemon(tmp_path, kind="tmux", settings={"socket_name": tmux.socket_name}, env=tmux.env)
    await daemon.start()
    try:
        health = await daemon.api.wait_health(
            lambda health: "another state directory" in str(health["connector"]["detail"])
        )
        assert health["status"] == "degraded"
        sent = await daemon.api.send("for our own console", wait_s=0)
        await pane.respawn(str(PROGRAMS / "fleetchat"), "console")
        assert (await daemon.api.final(sent["id"]))["state"] == "delivered"
        await pane.shows("for our own console")
    finally:
        await daemon.close()


async def test_what_is_said_after_the_operator_left_it_waits_for_the_next_one(
    tmux: Tmux, tmp_path: Path
) -> None:
    pane = await tmux.session("operator")  # a shell
    daemon = Daemon(tmp_path, kind="tmux", settings={"socket_name": tmux.socket_name}, env=tmux.env)
    await daemon.start()
    try:
        await daemon.api.wait_health(lambda health: "only a shell" in str(health["connector"]))
        await pane.submit("fleetchat console")
        await daemon.api.wait_health(lambda health: health["status"] == "ok")
        await pane.submit("/quit")
        await daemon.api.wait_health(lambda health: "has ended" in str(health["connector"]))
        waiting = await daemon.api.send("touch it", wait_s=1)
        assert waiting["state"] == "queued"
        await pane.submit("fleetchat console")
        assert (await daemon.api.final(waiting["id"]))["state"] == "delivered"
        assert (await pane.capture()).count("touch it") == 1
    finally:
        await daemon.close()
