"""Who may talk to the daemon, and that nobody need notice when it restarts."""

from __future__ import annotations

import asyncio
import stat

import pytest

from tests.harness.systemd_lab import USER
from tests.harness.systemd_service import Service, SystemService, UserService
from tests.harness.waiting import eventually


@pytest.mark.parametrize("made_by", ["fleetchatd.service", "fleetchatd.socket"])
async def test_the_systems_socket_is_for_its_group_whichever_unit_made_it(
    system: SystemService, made_by: str
) -> None:
    await system.systemctl("start", made_by)
    found = system.lab.path(system.socket).stat()
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert not system.lab.path(system.socket).parent.stat().st_mode & stat.S_IWOTH
    refused = await system.lab.fleetchat("send", "hello", user=USER, code=69)
    assert "ermission denied" in refused
    await system.lab.run("gpasswd", "--add", USER, "fleetchatd")
    try:
        message_id = await system.lab.fleetchat("send", "--wait", "10", "hello", user=USER)
    finally:
        await system.lab.run("gpasswd", "--delete", USER, "fleetchatd")
    told = await system.records(f"FLEETCHAT_MESSAGE_ID={message_id.strip()}")
    assert told[0]["FLEETCHAT_PEER_UID"] == str(system.lab.uid)
    assert int(told[0]["FLEETCHAT_PEER_PID"]) > 1


@pytest.mark.parametrize("made_by", ["fleetchatd.service", "fleetchatd.socket"])
async def test_a_users_socket_is_that_users_alone(user: UserService, made_by: str) -> None:
    await user.systemctl("start", made_by)
    found = user.lab.path(user.socket)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (found.parent, found)] == [0o700, 0o600]


async def test_behind_systemds_socket_no_message_fails_while_the_service_restarts(
    service: Service,
) -> None:
    await service.systemctl("start", "fleetchatd.socket")
    assert await service.show("ActiveState") == "inactive"
    sent: list[str] = []
    done = asyncio.Event()

    async def talk() -> None:
        while not done.is_set():  # every one of these must exit with 0; it may say that it waits
            sent.append((await service.fleetchat("send", f"{len(sent)}")).split()[-1])

    async def some_more() -> None:
        so_far = len(sent)

        async def probe() -> bool:
            return len(sent) >= so_far + 3

        await eventually("three more messages", probe)

    async with asyncio.TaskGroup() as group:
        group.create_task(talk())
        await some_more()  # the first of them started the daemon
        await service.systemctl("restart", "fleetchatd")
        await some_more()
        await service.kill()
        await some_more()
        done.set()
    for message_id in sent:
        assert (await service.api.final(message_id))["state"] == "delivered"
    history = await service.api.history(limit=1000, direction="out")
    assert [item["text"] for item in reversed(history)] == [str(n) for n in range(len(sent))]
    await service.systemctl("stop", "fleetchatd.service")
    assert service.lab.path(service.socket).exists()


async def test_who_waits_for_a_daemon_that_cannot_run_is_told_why_and_starts_it_once(
    system: SystemService,
) -> None:
    await system.configure("memory", ecko=True)
    await system.systemctl("start", "fleetchatd.socket")
    told = await system.fleetchat("send", "hello", code=1)
    assert "connector.memory.ecko: unknown key" in told
    tries = await system.records("PRIORITY=3", "SYSLOG_IDENTIFIER=fleetchatd")
    assert len(tries) == 1
    await system.configure("memory")
    await system.fleetchat("send", "hello")
    (sent,) = await system.api.history(direction="out")
    assert sent["text"] == "hello"
