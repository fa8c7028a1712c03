"""fleetchatd as a unit of the booted systemd: the system's, or a user's."""

from __future__ import annotations

import shutil
import time
from typing import Any

from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.api import Api
from tests.harness.rosters import write_roster
from tests.harness.systemd_lab import USER, Lab
from tests.harness.waiting import eventually

PAUSE_S = 0.3
"""Between two questions to systemd, which cost a program each."""

HANG = """
import signal, time

def the_loop_is_stuck_here(*_):
    time.sleep(600)

signal.signal(signal.SIGUSR1, the_loop_is_stuck_here)
"""
"""For Python's start: it makes `Service.hang` possible."""


class Service:
    """What the two have in common.

    Attributes:
        state: the state directory, as seen inside.
        socket: the socket, as seen inside.
    """

    roster: str
    units: str
    state: str
    socket: str
    flags: tuple[str, ...] = ()
    as_user: str = "root"
    others: tuple[str, ...] = ()

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.api = Api(lab.path(self.socket))
        self._since = f"@{time.time():.6f}"

    # Setting up

    async def prepare(self) -> None:
        """Install the units unless they are there, and write a roster."""
        if not self.lab.path(f"{self.units}/fleetchatd.service").exists():
            await self.install_units()
        await self.configure("memory")

    async def install_units(self, *arguments: str) -> str:
        command = ("install-units", *self.flags, *arguments)
        return await self.lab.fleetchatd(*command, user=self.as_user)

    async def configure(self, kind: str, **settings: Any) -> None:
        """Write the roster; a running daemon sees it at its next reload."""
        roster = self.lab.path(self.roster)
        roster.parent.mkdir(parents=True, exist_ok=True)
        write_roster(roster, kind, **settings)

    async def speak_in(self, room: FakeMatrixRoom) -> None:
        """Have the roster name a room, and the unit its bot's token."""
        await self.configure("matrix", **room.settings)
        token = room.bot.access_token
        await self.drop_in(f"[Service]\nEnvironment=MATRIX_ACCESS_TOKEN={token}\n")

    async def make_hangable(self) -> None:
        """Let `hang` work, and the watchdog see it within a second."""
        folder = self.lab.path("/opt/hang")
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(HANG)
        await self.drop_in("[Service]\nEnvironment=PYTHONPATH=/opt/hang\nWatchdogSec=1s\n")

    async def drop_in(self, text: str, unit: str = "fleetchatd.service") -> None:
        """Add to a unit."""
        folder = self.lab.path(f"{self.units}/{unit}.d")
        folder.mkdir(exist_ok=True)
        (folder / f"test{len(list(folder.iterdir()))}.conf").write_text(text)
        await self.systemctl("daemon-reload")

    async def reset(self) -> None:
        """Stop it and forget what a test did with it; the units stay."""
        units = ("fleetchatd.socket", "fleetchatd.service", *self.others)
        await self.systemctl("stop", *units, code=None)
        await self.systemctl("reset-failed", code=None)
        drop_ins = list(self.lab.path(self.units).glob("*.d"))
        for folder in drop_ins:
            shutil.rmtree(folder)
        if drop_ins:
            await self.systemctl("daemon-reload")
        shutil.rmtree(self.lab.path(self.state), ignore_errors=True)
        self.lab.path(self.roster).unlink()

    async def remove(self) -> None:
        """Take away the units, whoever changed them, and links to them."""
        await self.install_units("--uninstall")
        for path in self.lab.path(self.units).glob("fleetchat*"):
            if path.suffix != ".d":
                path.unlink()
        await self.systemctl("daemon-reload")

    # Working with it

    async def systemctl(self, *arguments: str, code: int | None = 0) -> str:
        manager = ("--user",) if self.flags else ()
        return await self.lab.run("systemctl", *manager, *arguments, code=code, user=self.as_user)

    async def start(self) -> None:
        await self.systemctl("start", "fleetchatd.service")

    async def stop(self) -> None:
        await self.systemctl("stop", "fleetchatd.service")

    async def kill(self, signal: str = "KILL") -> None:
        """Send the daemon a signal, behind systemd's back as far as it knows."""
        await self.systemctl("kill", "--kill-whom=main", f"--signal={signal}", "fleetchatd")

    async def hang(self) -> None:
        """Block the daemon's loop for good."""
        await self.kill("USR1")

    async def show(self, name: str) -> str:
        """One of the unit's properties."""
        return (await self.systemctl("show", "-P", name, "fleetchatd.service")).strip()

    async def restarted(self, times: int, timeout_s: float = 30.0) -> None:
        """Wait until systemd has started it again so often, and it is ready."""

        async def probe() -> bool:
            if int(await self.show("NRestarts")) < times:
                return False
            return await self.show("ActiveState") == "active"

        await eventually(f"restart {times}", probe, timeout_s=timeout_s, pause_s=PAUSE_S)

    async def fleetchat(self, *arguments: str, code: int | None = 0) -> str:
        return await self.lab.fleetchat(*arguments, code=code, user=self.as_user)

    async def records(self, *matches: str) -> list[dict[str, Any]]:
        """What the journal has of this unit since this test began."""
        unit = "--user-unit" if self.flags else "--unit"
        scope = (f"{unit}=fleetchatd", f"--since={self._since}")
        return await self.lab.journal(*scope, *matches, user=self.as_user)

    async def logged(self, text: str, *matches: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait for a record with `text` in its sentence."""

        async def probe() -> dict[str, Any] | None:
            records = await self.records(*matches)
            return next((one for one in records if text in str(one["MESSAGE"])), None)

        what = f"{text!r} in the journal"
        return await eventually(what, probe, timeout_s=timeout_s, pause_s=PAUSE_S)


class SystemService(Service):
    roster = "/etc/fleetchatd/roster.yaml"
    units = "/etc/systemd/system"
    state = "/var/lib/fleetchatd"
    socket = "/run/fleetchatd/fleetchatd.sock"
    others = ("fleetchatd-tmux.service",)


class UserService(Service):
    roster = f"/home/{USER}/.config/mosaic/fleet/roster.yaml"
    units = f"/home/{USER}/.config/systemd/user"
    state = f"/home/{USER}/.local/state/fleetchatd"
    flags = ("--user",)
    as_user = USER

    def __init__(self, lab: Lab) -> None:
        self.socket = f"/run/user/{lab.uid}/fleetchatd/fleetchatd.sock"
        super().__init__(lab)
