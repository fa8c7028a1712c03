"""A service from its start to its stop, and what it takes to bring it down."""

from __future__ import annotations

import asyncio
import stat
import time

from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.systemd_service import Service, SystemService
from tests.harness.waiting import eventually


async def test_ready_is_usable_and_a_stop_is_an_end_in_order(service: Service) -> None:
    await service.start()
    assert (await service.api.send("at once", wait_s=10))["state"] == "delivered"
    assert (await service.fleetchat("send", "--wait", "10", "by the client")).strip()
    assert await service.show("Type") == "notify"
    assert await service.show("StatusText") == "ok"
    state = service.lab.path(service.state).stat()
    assert stat.S_IMODE(state.st_mode) == 0o700
    assert state.st_uid != 0
    await service.stop()
    assert not service.lab.path(service.socket).exists()
    records = await service.records("SYSLOG_IDENTIFIER=fleetchatd")
    assert {record["PRIORITY"] for record in records} == {"6"}
    assert records[-1]["MESSAGE"] == "fleetchatd is stopping"
    assert await service.show("Result") == "success"


async def test_a_roster_that_a_person_must_mend_is_named_once_and_not_tried_again(
    service: Service,
) -> None:
    await service.configure("memory", ecko=True)
    await service.systemctl("start", "fleetchatd", code=1)
    assert await service.show("ExecMainStatus") == "78"
    assert await service.show("ActiveState") == "failed"  # and not activating, for another try
    (record,) = await service.records("PRIORITY=3", "SYSLOG_IDENTIFIER=fleetchatd")
    assert "connector.memory.ecko: unknown key (did you mean echo?)" in record["MESSAGE"]


async def test_killed_four_times_within_seconds_it_is_back_with_all_it_had(
    system: SystemService,
) -> None:
    await system.configure("memory", delay_s=1)
    await system.start()
    sent: list[str] = []
    for times in range(1, 5):
        sent.append((await system.api.send(f"before death {times}"))["id"])
        await system.kill()
        await system.restarted(times)
    for message_id in sent:
        assert (await system.api.final(message_id))["state"] == "delivered"


async def test_a_hung_loop_is_restarted_and_the_journal_shows_where_it_stood(
    system: SystemService,
) -> None:
    await system.make_hangable()
    await system.start()
    await system.hang()
    await system.restarted(1)
    await system.logged("Watchdog timeout")
    await system.logged("the_loop_is_stuck_here")
    assert (await system.api.send("on", wait_s=10))["state"] == "delivered"


async def test_a_homeserver_that_is_away_all_the_time_is_shown_and_restarts_nothing(
    system: SystemService, fake: FakeMatrixRoom
) -> None:
    await fake.server.stop()
    await system.speak_in(fake)
    await system.drop_in("[Service]\nWatchdogSec=1s\n")
    await system.start()
    sent = await system.api.send("for later")
    await system.api.wait_health(lambda health: health["connector"]["detail"])
    assert (await system.show("StatusText")).startswith("degraded: ")
    await asyncio.sleep(3)  # not for luck: three times what the watchdog allows
    assert await system.show("NRestarts") == "0"
    outage = await system.records("FLEETCHAT_CONNECTOR=matrix")
    assert outage[-1]["PRIORITY"] == "4"
    assert {record["PRIORITY"] for record in outage} <= {"4", "6"}
    assert len(await system.records()) < 15
    await fake.server.start()
    assert (await system.api.final(sent["id"]))["state"] == "delivered"
    assert await fake.said_by_bot() == ["for later"]


async def test_a_stop_lets_what_is_under_way_end_however_short_the_unit_makes_it(
    system: SystemService, fake: FakeMatrixRoom
) -> None:
    await system.speak_in(fake)
    await system.drop_in("[Service]\nTimeoutStopSec=1s\n")
    await system.start()
    await system.api.wait_health(lambda health: health["connector"]["receiving"])
    hold = fake.server.hold("PUT", "*/send/*")
    sent = await system.api.send("just before the stop")
    await hold.reached()
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(system.stop())
        await eventually("a stop", lambda: says_stopping(system))
        await asyncio.sleep(3)  # not for luck: beyond TimeoutStopSec=
        assert not stopping.done()
        hold.release()
    assert time.monotonic() - begun < 25
    told = await system.records(f"FLEETCHAT_MESSAGE_ID={sent['id']}")
    assert [record["FLEETCHAT_STATE"] for record in told[1:]] == ["delivered"]
    assert await system.show("Result") == "success"


async def says_stopping(service: Service) -> bool:
    return (await service.show("StatusText")).startswith("stopping")
