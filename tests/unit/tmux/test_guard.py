from __future__ import annotations

import pytest

from fleetchatd.tmux.guard import Objection, Program, judge


def programs(*names: str) -> list[Program]:
    """Processes started in this order, each `comm` or `comm=file`."""
    found = []
    for number, name in enumerate(names):
        comm, _, file = name.partition("=")
        found.append(Program(comm, file or comm, (number, number)))
    return found


@pytest.mark.parametrize(
    "names",
    [
        ["bash"],
        ["sh=dash"],
        ["claude=bash"],
        ["zsh", "bash"],
        ["fish"],
        ["busybox"],
        ["sh=busybox"],
        ["xonsh=python3.11"],
        ["bash", "su=", "sh=dash"],
        ["ssh"],
        ["script", "script"],
        ["tmux: client=tmux"],
        ["distrobox-enter=bash", "podman"],
        ["sudo=", "claude=node"],
    ],
)
def test_shells_and_what_may_hide_one_are_refused_for_good(names: list[str]) -> None:
    found = judge(programs(*names))
    assert found is not None
    assert not found.passing


@pytest.mark.parametrize(
    "names",
    [
        ["claude=node"],
        ["bash", "claude=node"],
        ["claude=node", "sh=dash", "git"],
        ["python3"],
        ["cat=busybox"],
        ["flash"],
        ["sshd-agent"],
        ["wish"],
    ],
)
def test_programs_are_not(names: list[str]) -> None:
    assert judge(programs(*names)) is None


def test_an_agents_own_ssh_passes() -> None:
    assert judge(programs("bash", "claude=node", "git", "ssh")) == Objection(
        "a shell may be behind ssh, which runs in it", passing=True
    )


def test_a_terminal_that_nobody_reads_is_looked_at_again() -> None:
    found = judge([])
    assert found is not None
    assert found.passing
