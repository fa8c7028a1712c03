from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.unit.client.conftest import Run
from tests.unit.client.scripted import (
    Line,
    ScriptedDaemon,
    events,
    message,
    problem,
    reply,
    until,
)

EVENTS = ("GET", "/v1/events")
ME = ("subscribe", "--name", "me")


@contextmanager
def following(daemon: ScriptedDaemon, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with daemon.start_client(*ME, *words) as client:
        try:
            yield client
        finally:
            client.kill()


def next_text(client: subprocess.Popen[bytes]) -> str:
    assert client.stdout is not None
    return str(json.loads(client.stdout.readline())["text"])


def notes(client: subprocess.Popen[bytes]) -> str:
    assert client.stderr is not None
    return client.stderr.read().decode()


def test_each_event_is_out_at_once_and_acknowledged(daemon: ScriptedDaemon) -> None:
    def one_by_one(line: Line) -> None:
        line.begin_stream()
        line.chunk(message(4, "text 4"))
        until(lambda: daemon.acknowledged == [4], "it was acknowledged")
        line.chunk(message(5, "text 5"))
        line.wait_for_hang_up()

    daemon.on(*EVENTS, one_by_one)
    with following(daemon, "--json") as client:
        assert next_text(client) == "text 4"
        assert next_text(client) == "text 5"
        until(lambda: daemon.acknowledged == [4, 5], "both were acknowledged")


def test_an_event_is_acknowledged_only_after_it_was_written(daemon: ScriptedDaemon) -> None:
    # A pipe that nobody empties takes 64 KiB: the line is stuck in the client.
    daemon.on(*EVENTS, events(message(4, "x" * 200_000), end=False))
    with following(daemon, "--json") as client:
        assert client.stdout is not None
        assert len(os.read(client.stdout.fileno(), 1000)) == 1000
        assert daemon.acknowledged == []
        client.stdout.readline()
        until(lambda: daemon.acknowledged == [4], "it was acknowledged")


def test_what_is_wanted_reaches_the_daemon(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events({"type": "superseded"}))
    run(*ME, "--from", "start", "--takeover", "--types", "message", "--class", "human")
    assert daemon.requests[0].query == {
        "subscriber": "me",
        "from": "start",
        "takeover": "true",
        "types": "message",
        "class": "human",
    }


def test_its_own_sending_does_not_wake_an_agent(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events({"type": "superseded"}))
    run(*ME)
    types = daemon.requests[0].query["types"].split(",")
    assert "delivery" not in types
    assert "connector" not in types


def test_no_daemon_to_begin_with_is_exit_69(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.stop()
    result = run(*ME)
    assert result.code == 69
    assert str(daemon.path) in result.err


def test_it_survives_a_restart_of_the_daemon(daemon: ScriptedDaemon) -> None:
    daemon.on(*EVENTS, events(message(4, "before")), events(message(5, "after"), end=False))
    with following(daemon, "--json") as client:
        assert next_text(client) == "before"
        assert next_text(client) == "after"
        until(lambda: daemon.acknowledged == [4, 5], "both were acknowledged")
        client.terminate()
        assert "trying again" in (told := notes(client))
        assert "connected again" in told


def test_it_waits_for_a_daemon_that_is_away(daemon: ScriptedDaemon) -> None:
    def stop(line: Line) -> None:
        daemon.stop()
        line.begin_stream()

    daemon.on(*EVENTS, stop)
    with following(daemon, "--json") as client:
        assert client.stderr is not None
        while b"cannot reach fleetchatd" not in client.stderr.readline():
            assert client.poll() is None
        daemon.on(*EVENTS, events(message(5, "after"), end=False))
        daemon.start()
        assert next_text(client) == "after"


def test_what_was_shown_before_a_crash_is_acknowledged_and_not_shown_again(
    daemon: ScriptedDaemon,
) -> None:
    def crash(_: Line) -> None:
        """The daemon dies before it notes the acknowledgement."""

    def pending(line: Line) -> None:
        events(*(message(seq) for seq in (4, 5) if seq > max(daemon.acknowledged)))(line)

    daemon.on(*EVENTS, events(message(4)), pending)
    daemon.on("POST", "/v1/subscribers/me/ack", crash, reply(200, {}))
    with following(daemon, "--json") as client:
        assert client.stdout is not None
        assert [json.loads(client.stdout.readline())["seq"] for _ in range(2)] == [4, 5]
    again = [one.path for one in daemon.requests].index("/v1/events", 1)
    assert daemon.requests[again - 2].body == {"seq": 4}


def test_superseded_is_exit_1_after_what_came_before_it(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events(message(4), {"type": "superseded"}))
    result = run(*ME)
    assert (result.code, len(result.out.splitlines())) == (1, 1)
    assert "superseded" in result.err
    assert daemon.acknowledged == [4]


def test_a_name_in_use_is_exit_1_and_names_takeover(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, problem(409, "subscriber-busy", "it is read by pid 7"))
    result = run(*ME)
    assert result.code == 1
    assert "--takeover" in result.err


def test_takeover_is_not_repeated_after_a_restart(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events(), events({"type": "superseded"}))
    assert run(*ME, "--takeover").code == 1
    first, second = daemon.asked(*EVENTS)
    assert first.query["takeover"] == "true"
    assert "takeover" not in second.query


def test_a_deleted_name_stays_deleted(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events())
    daemon.on("GET", "/v1/subscribers", reply(200, {"subscribers": []}))
    result = run(*ME)
    assert result.code == 1
    assert "was deleted" in result.err
    assert len(daemon.asked(*EVENTS)) == 1


def test_a_refusal_on_the_way_back_ends_it_but_a_daemon_in_trouble_does_not(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.on(
        *EVENTS,
        events(),
        problem(503, "journal-failed", "read-only file system"),
        problem(400, "bad-query", "no"),
    )
    result = run(*ME)
    assert result.code == 1
    assert "read-only file system; trying again" in result.err
    assert result.err.endswith("fleetchat: no\n")


def test_no_ack_acknowledges_nothing(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events(message(4), {"type": "superseded"}))
    run(*ME, "--no-ack")
    assert daemon.acknowledged == []


def test_a_reader_that_has_seen_enough_ends_it_quietly(daemon: ScriptedDaemon) -> None:
    enough = False

    def one_then_more(line: Line) -> None:
        line.begin_stream()
        line.chunk(message(4))
        until(lambda: enough, "the reader was gone")
        line.chunk(message(5))
        line.wait_for_hang_up()

    daemon.on(*EVENTS, one_then_more)
    with following(daemon) as client:
        assert client.stdout is not None
        assert client.stdout.readline()
        client.stdout.close()
        enough = True
        assert client.wait(20) == 0
        assert notes(client) == ""
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
def test_a_signal_ends_it_without_a_traceback(
    daemon: ScriptedDaemon, number: signal.Signals, code: int
) -> None:
    daemon.on(*EVENTS, events(message(4), end=False))
    with following(daemon) as client:
        until(lambda: daemon.acknowledged, "it was following")
        client.send_signal(number)
        assert client.wait(20) == code
        assert notes(client) == ""


def test_empty_lines_are_no_events(daemon: ScriptedDaemon, run: Run) -> None:
    def with_blanks(line: Line) -> None:
        line.begin_stream()
        line.say(b"2\r\n\n\n\r\n")
        line.chunk(message(4))
        line.say(b"1\r\n\n\r\n")
        line.chunk({"type": "superseded"})

    daemon.on(*EVENTS, with_blanks)
    assert len(run(*ME).out.splitlines()) == 1
