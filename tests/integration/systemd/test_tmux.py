"""The operator's session in tmux: talked to out of the sandbox, and it outlives the service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tests.harness.documents import tested_blocks
from tests.harness.systemd_lab import USER
from tests.harness.systemd_service import Service, SystemService, UserService
from tests.harness.waiting import eventually

TMUX = ("tmux", "-L", "mosaic-fleet")

Ask = Callable[..., Awaitable[str]]
"""Has the fleet's tmux server do something, as its owner."""


async def names(ask: Ask) -> set[str]:
    return {line.partition(":")[0] for line in (await ask("list-sessions")).splitlines()}


async def converse_over_a_stop(service: Service, ask: Ask) -> None:
    """Both ways through the console; then a stop, which leaves it, and on with the same one."""
    await service.configure("tmux")
    await service.start()
    console = await conversation(service, ask, "before")
    await service.stop()
    assert "operator" in await names(ask)
    await service.start()
    assert await conversation(service, ask, "after") == console


async def conversation(service: Service, ask: Ask, words: str) -> str:
    """Say something in both directions; gives the console's process id."""
    await service.api.wait_health(lambda health: health["status"] == "ok")
    assert (await service.api.send(f"{words}: ready?", wait_s=20))["state"] == "delivered"
    async with service.api.events(types="message") as stream:
        await ask("send-keys", "-t", "=operator:", f"{words}: yes", "Enter")
        assert (await stream.next())["text"] == f"{words}: yes"
    return (await ask("display-message", "-p", "-t", "=operator:", "#{pane_pid}")).strip()


async def test_a_user_sits_at_a_console_that_the_service_started(user: UserService) -> None:
    ask = partial(user.lab.run, *TMUX, user=USER)
    try:
        await converse_over_a_stop(user, ask)
    finally:
        await ask("kill-server", code=None)


async def test_the_systems_console_is_attached_to_as_the_documents_say(
    system: SystemService,
) -> None:
    known = ("env", "TMUX_TMPDIR=/run/fleetchatd-tmux", *TMUX)
    ask = partial(system.lab.run, *known, user="fleetchatd")
    await converse_over_a_stop(system, ask)
    assert await names(ask) == {"_holder", "operator"}
    await ask("kill-server")
    await system.api.wait_health(lambda health: health["status"] != "ok")
    assert await conversation(system, ask, "anew")
    (attach,) = tested_blocks("test_the_systems_console_is_attached_to_as_the_documents_say")
    become = "setpriv --reuid=fleetchatd --regid=fleetchatd --init-groups env TERM=xterm"
    typed = attach.strip().replace("sudo -u fleetchatd", become)
    async with asyncio.TaskGroup() as group:
        group.create_task(system.lab.run("script", "-qec", typed, "/dev/null"))
        await eventually("somebody attached", partial(ask, "list-clients"))
        await ask("detach-client", "-s", "operator")
