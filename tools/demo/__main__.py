"""A throwaway Synapse, the installed fleetchatd and fleetchat, and a scripted human.

Exits 0 if everything that was said has arrived, once and in order, and 1 otherwise. Every process
it starts dies with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from fleetchatd import __version__
from tests.harness.daemon import Daemon
from tests.harness.human import Account, Human
from tests.harness.rosters import ORCHESTRATOR
from tests.harness.synapse import Synapse
from tests.harness.synapse_install import ensure_installed
from tools.demo.conversation import Conversation
from tools.demo.people import Ann, Ear, Orchestrator
from tools.demo.screen import Screen


async def demo(directory: Path, screen: Screen) -> bool:
    """Set the scene, have them talk, and say whether all went well."""
    async with scene(directory, screen) as (human, daemon):
        conversation = Conversation(screen, daemon)
        ann = Ann(human, Ear(conversation.ann_heard))
        mos = Orchestrator(ORCHESTRATOR, daemon.socket, Ear(conversation.mos_heard))
        async with asyncio.TaskGroup() as group:
            listeners = [group.create_task(ann.listen()), group.create_task(mos.listen())]
            await daemon.api.wait_health(
                lambda health: any(item["connected"] for item in health["subscribers"])
            )
            await conversation.talk(ann, mos)
            await conversation.crash(ann, mos)
            for listener in listeners:
                listener.cancel()
        return conversation.conclude(ann, mos)


@contextlib.asynccontextmanager
async def scene(directory: Path, screen: Screen) -> AsyncIterator[tuple[Human, Daemon]]:
    """A homeserver, Ann in her room, and a daemon that she has invited."""
    screen.note("Installing Synapse (once), then starting it on loopback.", "dim")
    await asyncio.to_thread(ensure_installed)
    (directory / "synapse").mkdir()
    synapse = Synapse(directory / "synapse")
    try:
        await synapse.start()
        human = await synapse.human("ann")
        bot = await synapse.register("mos")
        await human.create_room(invite=[bot.user_id])
        daemon = make_daemon(directory / "fleetchatd", synapse, human, bot)
        try:
            await daemon.start()
            await daemon.api.wait_health(lambda health: health["status"] == "ok")
            screen.note(f"fleetchatd {__version__} has joined the room that Ann invited it to.")
            yield human, daemon
        finally:
            await daemon.close()
    finally:
        await synapse.close()


def make_daemon(directory: Path, synapse: Synapse, human: Human, bot: Account) -> Daemon:
    """The installed fleetchatd, with a roster that names Ann's room."""
    settings = {
        "homeserver_url": synapse.base_url,
        "user_id": bot.user_id,
        "room_id": human.room_id,
    }
    env = {"MATRIX_ACCESS_TOKEN": bot.access_token}
    return Daemon(directory, kind="matrix", settings=settings, env=env)


async def main() -> int:
    """Run the demo in a directory of its own; a Ctrl-C or SIGTERM ends it in order."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="fleetchat-demo-") as directory:
        return os.EX_OK if await demo(Path(directory), Screen()) else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
