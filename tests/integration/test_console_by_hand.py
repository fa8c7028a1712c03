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
