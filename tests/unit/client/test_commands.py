from __future__ import annotations

from contextlib import suppress

import pytest

from fleetchatd.client import http
from tests.unit.client.conftest import Run
from tests.unit.client.scripted import Line, ScriptedDaemon, problem, reply

HEALTH = {
    "status": "ok",
    "problems": ["the disk is nearly full"],
    "version": "0.1.0",
    "uptime_s": 12.3,
    "roster": {"path": "/etc/roster.yaml", "loaded_at": "…", "error": None},
    "connector": {
        "kind": "matrix",
        "reachable": True,
        "authenticated": True,
        "receiving": False,
        "last_receive_age_s": 1.2,
        "detail": "no answer for 20 s",
    },
    "outbox": {"queued": 3, "waiting": 0, "oldest_age_s": 65, "failed": 1},
    "journal": {"last_seq": 42, "size_bytes": 90112},
    "subscribers": [{"name": "me", "connected": True, "lag": 7}],
}
OUT = {
    "id": "m1",
    "direction": "out",
    "time": "2026-11-22T13:00:00.123Z",
    "sender": None,
    "text": "one\ntwo",
    "thread_id": "$root",
    "reply_to": None,
    "state": "failed",
    "remote_id": None,
    "remote_ids": ["$a", "$b"],
    "error": "M_FORBIDDEN",
}
IN = OUT | {"id": "$e", "direction": "in", "sender": "@ann:x", "state": None, "text": "hello"}


@pytest.mark.parametrize(
    ("http", "status", "code"), [(200, "ok", 0), (200, "degraded", 1), (503, "down", 3)]
)
def test_health_exits_by_its_status(
    daemon: ScriptedDaemon, run: Run, http: int, status: str, code: int
) -> None:
    daemon.on("GET", "/v1/health", reply(http, HEALTH | {"status": status}))
    for words in (["health"], ["health", "--json"]):
        result = run(*words)
        assert (result.code, result.err) == (code, "")
        assert status in result.out


def test_a_daemon_that_cannot_run_is_down_and_health_says_why(
    daemon: ScriptedDaemon, run: Run
) -> None:
    why = "roster.yaml:5: connector.kind: unknown kind"
    daemon.on("GET", "/v1/health", problem(503, "not-running", why))
    for words in (["health"], ["health", "--json"]):
        result = run(*words)
        assert (result.code, result.out, result.err) == (3, "", f"fleetchat: {why}\n")


def test_health_says_what_a_person_must_know(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on("GET", "/v1/health", reply(200, HEALTH))
    assert run("health").out.splitlines() == [
        "ok  fleetchatd 0.1.0, up 12 s",
        "problem     the disk is nearly full",
        "connector   matrix: reachable, authenticated, not receiving",
        "            no answer for 20 s",
        "            last heard from the chat 1.2 s ago",
        "outbox      3 queued, 0 waiting, 1 failed",
        "            the oldest has waited for 65 s",
        "journal     last seq 42, 88.0 KiB",
        "roster      /etc/roster.yaml",
        "subscriber  me: live, 7 behind",
    ]


def test_health_says_nothing_twice(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on("GET", "/v1/health", reply(200, HEALTH | {"problems": ["no answer for 20 s"]}))
    assert run("health").out.count("no answer for 20 s") == 1


def test_ack_takes_the_name_either_way(daemon: ScriptedDaemon, run: Run) -> None:
    for words in (["--name", "me", "5"], ["me", "5"], ["5", "--name", "me"], ["5", "--name=me"]):
        assert run("ack", *words).code == 0
    assert daemon.acknowledged == [5] * 4


@pytest.mark.parametrize(
    "words",
    [["5"], ["me"], ["me", "5", "--name", "me"], ["me", "-1"], ["me", "x"], ["me", "9" * 30], []],
)
def test_ack_without_a_name_and_a_number_is_a_usage_error(
    daemon: ScriptedDaemon, run: Run, words: list[str]
) -> None:
    result = run("ack", *words)
    assert (result.code, result.out, daemon.requests) == (2, "", [])


def test_ack_beyond_the_end_is_refused_with_the_reason(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on("POST", "/v1/subscribers/me/ack", problem(422, "unknown-seq", "the last seq is 42"))
    assert run("ack", "me", "50").err == "fleetchat: the last seq is 42\n"


@pytest.mark.parametrize("words", [["a b/c"], ["--name", "a b/c"]])
def test_unsubscribe_deletes_that_name(daemon: ScriptedDaemon, run: Run, words: list[str]) -> None:
    daemon.on("DELETE", "/v1/subscribers/a%20b%2Fc", b"HTTP/1.1 204 No Content\r\n\r\n")
    result = run("unsubscribe", *words, "--json")
    assert (result.code, result.out) == (0, "")


def test_subscribers_are_listed_in_columns(daemon: ScriptedDaemon, run: Run) -> None:
    one = {"name": "me", "connected": True, "acked_seq": 41, "lag": 1, "oldest_unacked_age_s": 3}
    two = one | {"name": "the-other", "connected": False, "oldest_unacked_age_s": None}
    daemon.on("GET", "/v1/subscribers", reply(200, {"subscribers": [one, two]}))
    assert run("subscribers").out.splitlines() == [
        "NAME       STREAM  ACKED  LAG  OLDEST",
        "me         live    41     1    3.0 s",
        "the-other  -       41     1    -",
    ]


def test_no_subscribers_is_no_output(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on("GET", "/v1/subscribers", reply(200, {"subscribers": []}))
    assert run("subscribers").out == ""
    assert run("subscribers", "--json").out == '{"subscribers": []}\n'


def test_history_shows_the_newest_last(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on("GET", "/v1/messages", reply(200, {"messages": [OUT, IN]}))
    first, second = run("history").out.splitlines()
    assert first.startswith("<-")
    assert "@ann:x" in first
    assert second.startswith("->")
    assert second.endswith("[$root] one\\ntwo  (m1): M_FORBIDDEN")


def test_history_is_narrowed_down_by_the_daemon(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on("GET", "/v1/messages", reply(200, {"messages": []}))
    words = ["--limit", "5", "--before", "$é&x=1", "--thread", "$t", "--direction", "in"]
    assert run("history", *words).out == ""
    assert daemon.requests[0].query == {
        "limit": "5",
        "before": "$é&x=1",
        "thread_id": "$t",
        "direction": "in",
    }


@pytest.mark.parametrize("words", [["--limit", "0"], ["--limit", "x"], ["--direction", "up"]])
def test_history_refuses_what_makes_no_sense(run: Run, words: list[str]) -> None:
    assert run("history", *words).code == 2


def test_show_prints_a_message_with_its_state(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on("GET", "/v1/messages/m1", reply(200, OUT))
    shown = run("show", "m1").out
    assert "state       failed\n" in shown
    assert "remote_ids  $a, $b\n" in shown
    assert shown.endswith("\none\ntwo\n")


@pytest.mark.parametrize(
    ("command", "method", "path"),
    [("cancel", "DELETE", "/v1/messages/m1"), ("retry", "POST", "/v1/messages/m1/retry")],
)
def test_cancel_and_retry_answer_with_the_id(
    daemon: ScriptedDaemon, run: Run, command: str, method: str, path: str
) -> None:
    refusal = problem(409, "not-queued", "m1 is delivered")
    daemon.on(method, path, reply(200, OUT), reply(200, OUT), refusal)
    assert run(command, "m1").out == "m1\n"
    assert run(command, "m1", "--json").out.startswith('{"id": "m1"')
    result = run(command, "m1")
    assert (result.code, result.out, result.err) == (1, "", "fleetchat: m1 is delivered\n")


def test_reload_is_quiet_when_all_is_well(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on("POST", "/v1/reload", reply(200, HEALTH))
    assert run("reload") == run("reload", "--socket", str(daemon.path))
    assert run("reload").out == ""


def test_reload_names_every_error_in_the_roster(daemon: ScriptedDaemon, run: Run) -> None:
    refusal = {"detail": "the roster has errors", "errors": ["r.yaml:1: a", "r.yaml:2: b"]}
    daemon.on("POST", "/v1/reload", reply(422, refusal | {"kind": "bad-roster"}))
    result = run("reload")
    assert result.code == 1
    assert result.err.endswith("the roster has errors\nr.yaml:1: a\nr.yaml:2: b\n")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"detail": 7}', b'{"detail": null}'])
def test_a_refusal_without_a_reason_is_still_one(
    daemon: ScriptedDaemon, run: Run, body: bytes
) -> None:
    head = b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n" % len(body)
    daemon.on("GET", "/v1/subscribers", head + body)
    result = run("subscribers")
    assert result.code == 1
    assert result.err.startswith("fleetchat: ")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"7"])
def test_an_answer_that_is_no_object_is_an_error(
    daemon: ScriptedDaemon, run: Run, body: bytes
) -> None:
    daemon.on("GET", "/v1/health", b"HTTP/1.1 200 OK\r\n\r\n" + body)
    result = run("health")
    assert (result.code, result.out) == (1, "")
    assert "cannot understand the answer" in result.err


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_without_an_end_is_given_up_before_it_fills_the_memory(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(http, "ANSWER_LIMIT_BYTES", 1 << 20)

    def endless(line: Line) -> None:
        line.say(b"HTTP/1.1 %d X\r\n\r\n" % status)
        with suppress(OSError):  # the client hangs up
            while True:
                line.say(bytes(65_536))

    daemon.on("GET", "/v1/health", endless)
    result = run("health")
    assert (result.code, result.out) == (1, "")
