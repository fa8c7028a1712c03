"""How the operator's session is started."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from fleetchatd.connectors.tmux import session
from fleetchatd.tmux.errors import NoServerError
from fleetchatd.tmux.server import Server, environment


class Missing(Server):
    """A server that does not run."""

    async def run(self, *words: str) -> str:
        raise NoServerError("no server running")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []

    async def run(command: Sequence[str]) -> str:
        commands.append(list(command))
        return ""

    monkeypatch.setattr(session, "run", run)
    return commands


async def test_the_console_wears_its_badge_from_the_first_moment(ran: list[list[str]]) -> None:
    assert await session.ensure(Missing("s"), "operator", session.console_command(Path("/state")))
    (words,) = ran
    assert words[:4] == ["tmux", "-u", "-L", "s"]
    assert words[-2:] == ["@fleetchat_console", "0:0:0"]


async def test_another_program_wears_none(ran: list[list[str]]) -> None:
    await session.ensure(Missing("s"), "operator", ["claude", "--resume"])
    assert ran[0][-3:] == ["--", "claude", "--resume"]


async def test_no_word_of_the_command_is_read_by_tmux_or_a_shell(ran: list[list[str]]) -> None:
    await session.ensure(Missing("s"), "operator", ["a b"])
    await session.ensure(Missing("s"), "operator", ["a", "b;"])
    assert ran[0][-1] == "exec 'a b'"
    assert ran[1][-2:] == ["a", "b\\;"]


async def test_under_a_user_manager_the_server_gets_a_unit_of_its_own(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSTEMD_EXEC_PID", str(os.getpid()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    await session.ensure(Missing("s"), "operator", ["cat"])
    assert ran[0][:2] == ["systemd-run", "--user"]
    assert "--property=Type=forking" in ran[0]


async def test_a_system_service_does_not_start_a_server_that_would_end_with_it(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSTEMD_EXEC_PID", str(os.getpid()))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(NoServerError, match=r"start fleetchatd-tmux\.service"):
        await session.ensure(Missing("s"), "operator", ["cat"])
    assert ran == []


def test_no_secret_and_nothing_of_the_service_manager_reaches_a_pane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MATRIX_ACCESS_TOKEN", "DISCORD_BOT_TOKEN", "NOTIFY_SOCKET", "TMUX"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LANG", "C.UTF-8")
    inherited = environment()
    assert inherited["LANG"] == "C.UTF-8"
    assert not {"MATRIX_ACCESS_TOKEN", "DISCORD_BOT_TOKEN", "NOTIFY_SOCKET", "TMUX"} & set(
        inherited
    )
