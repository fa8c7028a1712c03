"""`fleetchat check` and `fleetchat doctor` beside a service of a real systemd."""

from __future__ import annotations

from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.systemd_service import Service


async def test_a_service_is_well_and_its_token_need_not_be_seen(
    service: Service, fake: FakeMatrixRoom
) -> None:
    await service.speak_in(fake)
    await service.start()
    await service.api.wait_health(lambda health: health["status"] == "ok")
    said = await service.fleetchat("doctor", "--state-dir", service.state)
    assert "secret matrix_access_token: the daemon has it" in said
    assert f"the daemon on {service.socket} is well" in said
    whose = "user" if service.flags else "system"
    assert f"ok       units of the {whose}: installed and current\n" in said
    assert "warning " not in said
    await service.stop()
    said = await service.fleetchat("doctor", code=1)
    start = " ".join(["systemctl", *service.flags, "start fleetchatd"])
    assert f"start it with `{start}`" in said
    assert "error    cannot find the secret matrix_access_token" in said


async def test_a_unit_that_was_changed_by_hand_is_told(service: Service) -> None:
    unit = service.lab.path(f"{service.units}/fleetchatd.service")
    written = unit.read_bytes()
    try:
        unit.write_bytes(written + b"# mine\n")
        said = await service.fleetchat("check")
        assert f"{service.units}/fleetchatd.service was changed by hand" in said
    finally:
        unit.write_bytes(written)
