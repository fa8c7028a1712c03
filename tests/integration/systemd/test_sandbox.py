"""What the units forbid is forbidden, every line of it."""

from __future__ import annotations

import configparser
import json
import shutil
from pathlib import Path

import pytest

from tests.harness import sandbox_probe
from tests.harness.synapse_install import REPOSITORY
from tests.harness.systemd_lab import PYTHON
from tests.harness.systemd_service import Service, SystemService, UserService

UNITS = REPOSITORY / "systemd"
PROBE = "/opt/sandbox_probe.py"
SET_UP = {
    *("Type", "ExecStart", "ExecStartPre", "ExecReload", "Restart", "RestartSec", "Environment"),
    *("RestartPreventExitStatus", "TimeoutStopSec", "WatchdogSec", "SyslogIdentifier", "User"),
    *("Group", "StateDirectory", "StateDirectoryMode", "RuntimeDirectory", "RuntimeDirectoryMode"),
    *("RuntimeDirectoryPreserve", "LimitNOFILE", "WorkingDirectory", "ReadWritePaths"),
    "SystemCallErrorNumber",
}


def directives(unit: Path) -> set[str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return set(parser["Service"])


async def answers(service: Service, unit: str) -> tuple[dict[str, str], dict[str, str]]:
    """The probe's answers in the sandbox of a unit, and out of it as the same user."""
    lab = service.lab
    shutil.copy(sandbox_probe.__file__, lab.path(PROBE))
    lab.path("/usr/lib/modules/any").mkdir(parents=True, exist_ok=True)
    inside = f"{service.state}/probe.json"
    await service.drop_in(f"[Service]\nExecStartPost={PYTHON} {PROBE} {inside}\n", unit)
    await service.systemctl("restart", unit)
    outside = f"/run/user/{lab.uid}/probe.json" if service.flags else "/run/fleetchatd/probe.json"
    plain = ("--user",) if service.flags else ("--uid=fleetchatd", "--gid=fleetchatd")
    await lab.run(
        *("systemd-run", *plain, "--quiet", "--wait", "--collect", PYTHON, PROBE, outside),
        user=service.as_user,
    )
    first, second = (json.loads(lab.path(file).read_text()) for file in (inside, outside))
    return first, second


@pytest.mark.parametrize("unit", ["fleetchatd.service", "fleetchatd-tmux.service"])
async def test_every_line_of_the_systems_sandbox_does_something(
    system: SystemService, unit: str
) -> None:
    await system.start()
    await see_that_all_differ(system, UNITS / "system" / unit)


async def test_every_line_of_a_users_sandbox_does_something(user: UserService) -> None:
    await see_that_all_differ(user, UNITS / "user" / "fleetchatd.service")


async def see_that_all_differ(service: Service, unit: Path) -> None:
    claimed = directives(unit) - SET_UP
    assert claimed <= set(sandbox_probe.PROBES), "a directive without a probe"
    inside, outside = await answers(service, unit.name)
    print(json.dumps({name: (inside[name], outside[name]) for name in sorted(claimed)}, indent=1))
    assert {name: inside[name] for name in claimed if inside[name] == outside[name]} == {}
