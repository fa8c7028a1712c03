from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.unit.client.conftest import Run
from tests.unit.client.scripted import ScriptedDaemon, events, message, problem, until

EVENTS = ("GET", "/v1/events")
ME = ("subscribe", "--name", "me", "--exec")
SUPERSEDED = {"type": "superseded"}


def test_the_command_gets_each_event_and_it_is_acknowledged(
    daemon: ScriptedDaemon, run: Run, tmp_path: Path
) -> None:
    daemon.on(*EVENTS, events(message(4), message(5, 'ünd "so"'), SUPERSEDED))
    assert run(*ME, f"cat >> {tmp_path}/seen").code == 1
    seen = (tmp_path / "seen").read_text().splitlines()
    assert [json.loads(line) for line in seen] == [message(4), message(5, 'ünd "so"')]
    assert daemon.acknowledged == [4, 5]


def test_a_failure_is_told_and_the_same_event_tried_again(
    daemon: ScriptedDaemon, run: Run, tmp_path: Path
) -> None:
    daemon.on(
        *EVENTS,
        events(message(4), message(5), message(6), end=False),
        events(message(5), message(6), SUPERSEDED),
    )
    count = tmp_path / "count"
    script = f"cat >/dev/null; echo x >> {count}; test $(wc -l < {count}) -ne 2 || exit 7"
    result = run(*ME, script)
    assert "exited with 7, the event stays pending; trying again in 0.5 s" in result.err
    assert daemon.acknowledged == [4, 5, 6]
    assert len(count.read_text().splitlines()) == 4


def test_pauses_grow_while_it_fails(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("fleetchatd.client.follow.time.sleep", slept.append)
    daemon.on(*EVENTS, *[events(message(4), end=False)] * 9, events(SUPERSEDED))
    run(*ME, "exit 1")
    assert slept == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert daemon.acknowledged == []


def test_a_failing_client_does_not_fight_the_one_that_took_over(
    daemon: ScriptedDaemon, run: Run
) -> None:
    busy = problem(409, "subscriber-busy", "another client reads it")
    daemon.on(*EVENTS, events(message(4), end=False), busy)
    result = run(*ME, "exit 1")
    assert result.code == 1
    assert "another client reads it" in result.err


@pytest.mark.parametrize("command", ["/no/such/program", "kill -9 $$", "exit 3"])
def test_whatever_goes_wrong_with_the_command_nothing_is_acknowledged(
    daemon: ScriptedDaemon, run: Run, command: str
) -> None:
    daemon.on(*EVENTS, events(message(4), end=False), events(SUPERSEDED))
    result = run(*ME, command)
    assert "the event stays pending" in result.err
    assert daemon.acknowledged == []


def test_a_command_need_not_read_its_input(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events(message(4, "x" * 500_000), SUPERSEDED))
    run(*ME, "exec true")
    assert daemon.acknowledged == [4]


@pytest.mark.usefixtures("signals_reach_children")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGHUP, -signal.SIGHUP),
    ],
)
def test_a_signal_ends_the_command_and_its_children_too(
    daemon: ScriptedDaemon, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    daemon.on(*EVENTS, events(message(4), end=False))
    pid_file = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; wait"
    client = daemon.start_client(*ME, script)
    until(pid_file.exists, "the command ran")
    client.send_signal(number)
    _, err = client.communicate(timeout=20)
    assert (client.returncode, err) == (code, b"")
    until(lambda: not alive(int(pid_file.read_text())), "the command's child was gone")
    assert daemon.acknowledged == []


def test_no_ack_makes_no_sense_with_it(run: Run) -> None:
    assert run(*ME, "true", "--no-ack").code == 2


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
