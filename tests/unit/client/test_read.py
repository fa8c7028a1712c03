from __future__ import annotations

import json
import os
from itertools import pairwise

import pytest

from fleetchatd.client import events as client_events
from tests.unit.client.conftest import Run
from tests.unit.client.scripted import (
    Line,
    ScriptedDaemon,
    events,
    hang_up,
    message,
    problem,
    until,
)

EVENTS = ("GET", "/v1/events")
BUSY = problem(409, "subscriber-busy", "the subscriber me has a live stream")


def test_prints_what_is_pending_then_acknowledges_it(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events(message(4, "ship it"), message(5, "now", thread_id="$root")))
    result = run("read", "--name", "me")
    assert (result.code, result.err) == (0, "")
    first, second = result.out.splitlines()
    assert first.split()[-3:] == ["Ann", "ship", "it"]
    assert second.split()[-3:] == ["Ann", "[$root]", "now"]
    assert daemon.acknowledged == [5]
    assert daemon.requests[0].query == {
        "subscriber": "me",
        "follow": "false",
        "types": "message,edit,redaction,reaction,gap",
    }


def test_nothing_pending_is_exit_0_without_output(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events())
    result = run("read", "--name", "me")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert daemon.acknowledged == []


def test_json_prints_each_object_as_it_is(daemon: ScriptedDaemon, run: Run) -> None:
    wanted = [message(4, 'two\nlines "ü" \u2028\x9b31m'), message(5, future_field=[1, None])]
    daemon.on(*EVENTS, events(*wanted))
    result = run("read", "--name", "me", "--json")
    assert [json.loads(line) for line in result.out.split("\n")[:-1]] == wanted
    assert "\x9b" not in result.out


def test_limit_acknowledges_just_the_last_one_printed(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events(*map(message, range(10, 20)), end=False))
    result = run("read", "--name", "me", "--limit", "3")
    assert len(result.out.splitlines()) == 3
    assert daemon.acknowledged == [12]


def test_a_limit_is_kept_over_batches(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_events, "BATCH", 2)
    daemon.on(*EVENTS, events(*map(message, range(10, 20))))
    assert len(run("read", "--name", "me", "--limit", "5").out.splitlines()) == 5
    assert daemon.acknowledged == [11, 13, 14]


def test_a_flood_is_acknowledged_at_least_every_100_events(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.on(*EVENTS, events(*map(message, range(1, 251))))
    assert len(run("read", "--name", "me").out.splitlines()) == 250
    assert daemon.acknowledged[-1] == 250
    steps = [0, *daemon.acknowledged]
    assert max(b - a for a, b in pairwise(steps)) <= 100


def test_no_ack_leaves_everything_pending(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events(message(4)))
    assert run("read", "--name", "me", "--no-ack").code == 0
    assert daemon.acknowledged == []


def test_wait_waits_for_the_first_one(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events(message(4)))
    assert run("read", "--name", "me", "--wait", "7.5").code == 0
    assert float(daemon.requests[0].query["wait_s"]) == pytest.approx(7.5, abs=0.3)


def test_a_wait_longer_than_one_request_may_last_asks_again(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_events, "WAIT_LIMIT_S", 0.2)
    daemon.on(*EVENTS, events(), events(message(4)))
    assert len(run("read", "--name", "me", "--wait", "1.5").out.splitlines()) == 1
    assert len(daemon.asked(*EVENTS)) == 2


def test_filters_reach_the_daemon(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events())
    run("read", "--name", "me", "--types", "delivery,message", "--class", "human,actionable")
    query = daemon.requests[0].query
    assert (query["types"], query["class"]) == ("delivery,message", "human,actionable")


def test_a_name_that_is_about_to_be_free_is_waited_for(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, BUSY, BUSY, events(message(4)))
    assert run("read", "--name", "me").code == 0


def test_a_name_in_use_is_exit_1_with_a_way_out(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_events, "BUSY_S", 0.2)
    daemon.on(*EVENTS, BUSY)
    result = run("read", "--name", "me")
    assert (result.code, result.out) == (1, "")
    assert "live stream" in result.err
    assert "another --name" in result.err


def test_what_was_printed_but_not_acknowledged_is_said_to_come_again(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.on(*EVENTS, events(message(4)))
    daemon.on("POST", "/v1/subscribers/me/ack", hang_up)
    result = run("read", "--name", "me")
    assert result.code == 1
    assert "will come again" in result.err


def test_a_stream_that_breaks_off_is_exit_1_after_what_came(
    daemon: ScriptedDaemon, run: Run
) -> None:
    def break_off(line: Line) -> None:
        line.begin_stream()
        line.chunk(message(4))
        until(lambda: daemon.acknowledged, "the event was acknowledged")

    daemon.on(*EVENTS, break_off)
    result = run("read", "--name", "me")
    assert (result.code, len(result.out.splitlines())) == (1, 1)
    assert "broke in the middle" in result.err


@pytest.mark.parametrize("line", [b"[]", b"{", b'{"type": "message"}', b'"x"', b"[" * 100_000])
def test_a_line_that_is_no_event_is_an_error_and_not_acknowledged(
    daemon: ScriptedDaemon, run: Run, line: bytes
) -> None:
    def answer(to: Line) -> None:
        to.begin_stream()
        to.say(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))
        to.end_stream()

    daemon.on(*EVENTS, answer)
    result = run("read", "--name", "me")
    assert result.code == 1
    assert "cannot understand" in result.err
    assert daemon.acknowledged == []


def test_a_huge_line_in_small_pieces_is_one_event(daemon: ScriptedDaemon, run: Run) -> None:
    whole = json.dumps(message(4, "x" * 3_000_000)).encode() + b"\n\n"

    def answer(line: Line) -> None:
        line.begin_stream()
        for start in range(0, len(whole), 30_001):
            piece = whole[start : start + 30_001]
            line.say(b"%x\r\n%s\r\n" % (len(piece), piece))
        line.end_stream()

    daemon.on(*EVENTS, answer)
    result = run("read", "--name", "me")
    assert (result.code, result.out.count("x")) == (0, 3_000_000)
    assert daemon.acknowledged == [4]


def test_a_line_that_stops_in_the_middle_of_a_character_waits_for_the_rest(
    daemon: ScriptedDaemon, run: Run
) -> None:
    whole = json.dumps(message(4, "😀" * 20), ensure_ascii=False).encode() + b"\n"

    def answer(line: Line) -> None:
        line.begin_stream()
        for value in whole:
            for byte in b"1\r\n%c\r\n" % value:
                line.say(bytes([byte]))
        line.end_stream()

    daemon.on(*EVENTS, answer)
    assert run("read", "--name", "me").out.count("😀") == 20


def test_nothing_is_acknowledged_when_the_output_cannot_be_written(daemon: ScriptedDaemon) -> None:
    daemon.on(*EVENTS, events(message(4)))
    for script in ('"$@" read --name me >/dev/full', '"$@" read --name me >&-'):
        result = daemon.run_in_shell(script)
        assert result.code == 1
        assert "cannot write" in result.err
        assert "Traceback" not in result.err
    assert daemon.acknowledged == []


def test_a_reader_that_has_gone_ends_it_quietly_without_an_acknowledgement(
    daemon: ScriptedDaemon,
) -> None:
    daemon.on(*EVENTS, events(message(4)))
    reader, writer = os.pipe()
    os.close(reader)
    client = daemon.start_client("read", "--name", "me", stdout=writer)
    os.close(writer)
    _, err = client.communicate(timeout=20)
    assert (client.returncode, err) == (0, b"")
    assert daemon.acknowledged == []
