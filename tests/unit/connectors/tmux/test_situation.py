"""What is in the operator's pane, and what health says of it."""

from __future__ import annotations

import os
from dataclasses import replace

from fleetchatd.connectors.tmux.situation import Occupant, situation
from fleetchatd.tmux.badge import Badge
from tests.unit.tmux.test_panes import CONSOLE, PLAIN


def test_a_running_console_is_promised_everything() -> None:
    found = situation(CONSOLE, None)
    assert (found.occupant, found.status, found.ready) == (Occupant.CONSOLE, "ok", True)
    assert found.detail is None


def test_a_console_that_is_not_connected_with_us_is_waited_for() -> None:
    found = situation(CONSOLE, None, stranger=True)
    assert (found.occupant, found.status, found.ready) == (Occupant.NOBODY, "degraded", False)
    assert "another state directory" in str(found.detail)


def test_a_console_that_died_is_waited_for() -> None:
    found = situation(replace(PLAIN, badge=Badge(os.getpid(), 1)), None)
    assert (found.occupant, found.status, found.ready) == (Occupant.NOBODY, "degraded", False)
    assert "has ended; messages wait" in str(found.detail)


def test_a_console_that_is_being_started_is_waited_for() -> None:
    found = situation(replace(PLAIN, badge=Badge(0, 0)), None)
    assert found.occupant is Occupant.NOBODY
    assert "has not started yet" in str(found.detail)


def test_a_shell_makes_messages_fail_and_says_what_to_do() -> None:
    found = situation(PLAIN, "only a shell runs in it (bash)")
    assert (found.occupant, found.status, found.ready) == (Occupant.UNSAFE, "degraded", True)
    assert "only a shell runs in it (bash)" in str(found.detail)
    assert "fleetchat console" in str(found.detail)


def test_another_program_works_and_health_says_what_cannot_be_promised() -> None:
    found = situation(PLAIN, None)
    assert (found.occupant, found.status, found.ready) == (Occupant.PROGRAM, "ok", True)
    assert "runs cat, not the console" in str(found.detail)
