"""`systemctl reload`: it waits for the outcome and tells it."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.systemd_service import Service, SystemService
from tests.harness.waiting import eventually


async def test_a_bad_roster_fails_the_reload_and_changes_nothing(service: Service) -> None:
    await service.start()
    await service.configure("memory", ecko=True, delay_s="soon")
    await service.systemctl("reload", "fleetchatd", code=1)
    refused = await service.records("PRIORITY=3", "SYSLOG_IDENTIFIER=fleetchatd")
    mistakes = [one["MESSAGE"] for one in refused if one["MESSAGE"].startswith("cannot reload")]
    assert len(mistakes) == 2
    assert await service.show("ActiveState") == "active"
    assert (await service.api.send("on", wait_s=10))["state"] == "delivered"
    assert "delay_s" in (await service.api.health())["roster"]["error"]
    await service.configure("memory")
    await service.systemctl("reload", "fleetchatd")
    assert (await service.api.health())["roster"]["error"] is None


async def test_a_switch_of_connectors_under_load_loses_and_doubles_nothing(
    system: SystemService, fake: FakeMatrixRoom
) -> None:
    await system.speak_in(fake)
    await system.configure("memory")
    await system.start()
    kinds = ("matrix", "memory", "matrix")
    done = asyncio.Event()
    sent: list[str] = []

    async def talk() -> None:
        while not done.is_set():
            sent.append((await system.api.send(f"{len(sent)}"))["id"])

    async with asyncio.TaskGroup() as group:
        group.create_task(talk())
        for kind in kinds:
            so_far = len(sent)
            await system.configure(kind, **(fake.settings if kind == "matrix" else {}))
            await system.systemctl("reload", "fleetchatd")
            assert (await system.api.health())["connector"]["kind"] == kind
            await eventually("twenty more", partial(more_than, sent, so_far + 20))
            await system.api.final(sent[-1])  # this kind's turn has its share
        done.set()
    ends = [await system.api.final(message_id) for message_id in sent]
    assert {end["state"] for end in ends} == {"delivered"}
    on_matrix = [end["text"] for end in ends if end["remote_id"].startswith("$")]
    assert await fake.said_by_bot() == on_matrix
    assert 0 < len(on_matrix) < len(sent)
    assert await system.show("NRestarts") == "0"


async def more_than(some: list[str], count: int) -> bool:
    return len(some) > count
