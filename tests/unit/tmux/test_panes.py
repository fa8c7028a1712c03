"""Which pane of a session is the one to talk to."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from fleetchatd.tmux.badge import Badge
from fleetchatd.tmux.badge import parse as parse_badge
from fleetchatd.tmux.panes import Pane, choose, parse, parse_all

PLAIN = Pane(
    id="%1",
    pid=4711,
    tty="/dev/pts/7",
    command="cat",
    badge=None,
    in_mode=False,
    active=False,
    dead=False,
    cursor=(0, 3),
    size=(80, 24),
)
ACTIVE = replace(PLAIN, id="%2", active=True)
CONSOLE = replace(PLAIN, id="%3", badge=Badge.own())
DEAD_CONSOLE = replace(PLAIN, id="%4", badge=Badge(os.getpid(), 1))


def test_the_consoles_pane_comes_first_then_the_one_used_before_then_the_active_one() -> None:
    assert choose([PLAIN, ACTIVE, CONSOLE], "%1") == CONSOLE
    assert choose([PLAIN, ACTIVE], "%1") == PLAIN
    assert choose([PLAIN, ACTIVE], "%9") == ACTIVE
    assert choose([PLAIN], None) == PLAIN
    assert choose([], None) is None


def test_of_two_consoles_the_one_used_before_stays() -> None:
    other = replace(CONSOLE, id="%5")
    assert choose([CONSOLE, other], "%5") == other
    assert choose([CONSOLE, other], "%1") == CONSOLE


def test_a_console_that_died_is_waited_for_also_by_the_next_daemon() -> None:
    assert DEAD_CONSOLE.console is None
    assert choose([ACTIVE, DEAD_CONSOLE], "%4") == DEAD_CONSOLE
    assert choose([ACTIVE, DEAD_CONSOLE], None) == DEAD_CONSOLE


def test_a_console_that_died_does_not_draw_others_away() -> None:
    assert choose([ACTIVE, DEAD_CONSOLE], "%2") == ACTIVE
    assert choose([CONSOLE, DEAD_CONSOLE], "%4") == CONSOLE


def test_a_pane_is_read_from_a_line_of_tmux() -> None:
    badge = Badge.own()
    line = f"%3\t4711\t/dev/pts/7\tcat\t{badge.value()}\t0\t0\t0\t0,3\t80,24"
    assert parse(line) == CONSOLE


@pytest.mark.parametrize("line", ["", "%1", "%1\tx\t\t\t\t0\t0\t0\t0,0\t8,8", "\t" * 20])
def test_what_is_no_pane_is_left_out(line: str) -> None:
    assert parse_all([line]) == []


def test_a_dead_pane_is_left_out() -> None:
    assert parse_all(["%3\t4711\t/dev/pts/7\tcat\t\t0\t0\t1\t0,3\t80,24"]) == []


@pytest.mark.parametrize("value", ["x", "1:2", "1:-2:3", "1:2:3:4", "1:" + "9" * 30 + ":1"])
def test_a_badge_that_makes_no_sense_is_nobodys(value: str) -> None:
    badge = parse_badge(value)
    assert badge is not None
    assert not badge.alive


def test_a_process_is_told_from_another_with_its_number() -> None:
    own = Badge.own()
    assert own.alive
    assert not replace(own, started=own.started - 1).alive
    assert parse_badge("") is None
    assert parse_badge(own.value()) == own
