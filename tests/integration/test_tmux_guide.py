"""Setting up tmux, looked at on real servers, which are as they were before."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.guide import Finding, Guide
from fleetchatd.connectors.tmux.guide import TmuxGuide
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret
from fleetchatd.tmux import badge
from tests.harness.tmux import Tmux
from tests.harness.waiting import eventually
from tests.integration.conftest import MakeFleet

HERE = socket.gethostname().partition(".")[0]


def no_secret(name: str) -> Secret:
    raise SecretError(f"nobody needs {name}")


class Doctor:
    """Whoever looks at a roster's tmux block."""

    def __init__(self, tmux: Tmux, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TMUX_TMPDIR", tmux.env["TMUX_TMPDIR"])
        monkeypatch.setenv("LANG", "C.UTF-8")
        self.tmux = tmux
        self.state_dir = state_dir

    async def findings(self, host: str = HERE, **settings: Any) -> list[Finding]:
        context = Context(
            orchestrator="mos",
            host=host,
            state_dir=self.state_dir,
            secret=no_secret,
            store_secret=lambda *_: None,
            health_changed=lambda: None,
            tmux_socket_name=self.tmux.socket_name,
        )
        guide = TmuxGuide()
        assert isinstance(guide, Guide)
        return [finding async for finding in guide.examine(settings, context)]

    async def finding(self, words: str, **settings: Any) -> Finding:
        """The finding that says these words; a program in a pane may take a moment to start."""

        async def probe() -> Finding | None:
            found = await self.findings(**settings)
            return next((finding for finding in found if words in finding.what), None)

        return await eventually(f"a finding of {words!r}", probe)


@pytest.fixture
def doctor(tmux: Tmux, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    return Doctor(tmux, tmp_path, monkeypatch)


async def test_what_the_daemon_will_start_is_no_trouble_and_is_not_started(doctor: Doctor) -> None:
    found = await doctor.findings()
    assert [finding.level for finding in found] == ["ok"] * 4 + ["warning"]
    assert f"does not run on {doctor.tmux.socket} yet" in found[3].what
    assert "the orchestrator has no session mos" in found[4].what
    assert not await doctor.tmux.is_running()


async def test_a_running_conversation_is_found_in_order(
    make_fleet: MakeFleet, doctor: Doctor
) -> None:
    fleet = make_fleet()
    await fleet.start()
    await doctor.tmux.session("mos", "cat")
    found = await doctor.findings()
    assert {finding.level for finding in found} == {"ok"}
    whats = [finding.what for finding in found]
    assert whats[3].endswith(f"runs on {doctor.tmux.socket}")
    assert whats[4] == f"the console runs in session operator, pane {fleet.pane.id}"
    assert whats[5] == "the orchestrator's session mos is there"


async def test_looking_changes_nothing(doctor: Doctor) -> None:
    await doctor.tmux.session("operator", "cat", columns=91, lines=17)
    state = (
        "list-panes -a -F #{pane_id}#{pane_width}x#{pane_height}#{session_attached}#{pane_active}"
    )
    before = await doctor.tmux.run(*state.split())
    await doctor.findings()
    assert await doctor.tmux.run(*state.split()) == before
    assert not await doctor.tmux.run("list-clients")
    assert not list(doctor.state_dir.glob("console"))


async def test_what_is_in_the_pane_is_told_with_what_to_do(doctor: Doctor) -> None:
    shell = await doctor.tmux.session("shell")
    cat = await doctor.tmux.session("cat", "exec", "cat")
    gone = await doctor.tmux.session("gone", "cat")
    await doctor.tmux.run("set-option", "-p", "-t", gone.id, badge.OPTION, "1:1:1")

    found = await doctor.finding("only a shell", session="shell")
    assert (found.level, found.about) == ("error", "session")
    assert f"pane {shell.id}" in found.what
    assert "`fleetchat console`" in str(found.remedy)

    found = await doctor.finding(f"pane {cat.id} runs cat", session="cat")
    assert (found.level, found.remedy) == (
        "warning",
        "run `fleetchat console` there, unless you want it so",
    )
    found = await doctor.finding(f"pane {cat.id} runs cat", session="cat", command=["cat"])
    assert (found.level, found.remedy) == ("ok", None)

    found = await doctor.finding("has ended", session="gone")
    assert found.level == "warning"
    assert "run `fleetchat console` there" in str(found.remedy)

    # Named exactly: the beginning of a name is another one.
    found = await doctor.finding("session cats is not there yet", session="cats")
    assert found.level == "ok"
    found = await doctor.finding("session ca is not there yet", session="ca")
    assert found.level == "ok"


async def test_a_program_that_is_missing_is_named(doctor: Doctor) -> None:
    found = await doctor.finding("no-such-agent", command=["no-such-agent", "--resume"])
    assert (found.level, found.about) == ("error", "command")


async def test_an_orchestrator_on_another_host_is_not_looked_for(doctor: Doctor) -> None:
    found = await doctor.findings(host="elsewhere")
    assert not [finding for finding in found if "the orchestrator" in finding.what]


async def test_a_server_of_another_user_is_not_guessed_at(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.stat(doctor.state_dir).st_uid
    monkeypatch.setattr("fleetchatd.connectors.tmux.guide.os.getuid", lambda: owner + 1)
    found = (await doctor.findings())[-1]
    assert found.level == "warning"
    assert "another user" in found.what


async def test_no_tmux_is_said_with_how_to_get_it(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(doctor.state_dir))
    (found,) = await doctor.findings()
    assert found.level == "error"
    assert found.remedy == "install it (apt install tmux)"


async def test_a_server_that_is_too_old_is_told_from_the_program(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = doctor.state_dir / "tmux"
    old.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "print('tmux 3.3a' if '-V' in sys.argv else '3.1c\\t/tmp/tmux-0/s\\tmos')\n"
    )
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(doctor.state_dir))
    found = await doctor.finding("since tmux was 3.1c")
    assert found.level == "error"
    assert "kill-server" in str(found.remedy)


async def test_somebody_elses_socket_is_an_error(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor.tmux.socket.parent.mkdir()
    doctor.tmux.socket.parent.chmod(0o777)
    found = await doctor.finding("unsafe permissions")
    assert (found.level, found.about) == ("error", "socket_name")
    assert "TMUX_TMPDIR" in str(found.remedy)
