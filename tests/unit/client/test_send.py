from __future__ import annotations

import threading

import pytest

from fleetchatd.client import send
from tests.unit.client.conftest import Run
from tests.unit.client.scripted import Line, ScriptedDaemon, hang_up, problem, reply

MESSAGES = ("POST", "/v1/messages")
QUEUED = reply(202, {"id": "m1", "state": "queued"})
DELIVERED = reply(200, {"id": "m1", "state": "delivered"})


def test_prints_the_id_and_sends_only_what_was_said(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*MESSAGES, QUEUED)
    result = run("send", "hello wörld 🚢")
    assert (result.code, result.out, result.err) == (0, "m1\n", "")
    assert daemon.requests[0].body == {"text": "hello wörld 🚢"}
    assert daemon.requests[0].query == {}


def test_every_option_reaches_the_daemon(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*MESSAGES, QUEUED)
    words = ["--thread", "$t", "--reply-to", "$r", "--plain", "--notice", "--expires", "2.5"]
    assert run("send", *words, "--key", "k 1", "hi").code == 0
    request = daemon.requests[0]
    assert request.headers["idempotency-key"] == "k 1"
    assert request.body == {
        "text": "hi",
        "thread_id": "$t",
        "reply_to": "$r",
        "format": "plain",
        "notice": True,
        "expires_s": 2.5,
    }


def test_json_prints_the_message_object_on_one_line(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*MESSAGES, QUEUED)
    for words in (["--json", "send", "x"], ["send", "x", "--json"]):
        assert run(*words).out == '{"id": "m1", "state": "queued"}\n'


@pytest.mark.parametrize("words", [["send"], ["send", "-"]])
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (b"one\n", "one"),
        (b"one\r\n", "one"),
        (b"one\n\n", "one\n"),
        (b"  one\ntwo", "  one\ntwo"),
        ("ü\r".encode(), "ü\r"),
    ],
)
def test_standard_input_is_sent_without_the_newline_that_ends_it(
    daemon: ScriptedDaemon, words: list[str], given: bytes, sent: str
) -> None:
    daemon.on(*MESSAGES, QUEUED)
    assert daemon.run_client(*words, given=given).code == 0
    assert daemon.requests[0].body == {"text": sent}


def test_a_text_that_begins_with_a_dash_follows_two_dashes(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.on(*MESSAGES, QUEUED)
    assert run("send", "--", "-5 degrees").code == 0
    assert daemon.requests[0].body == {"text": "-5 degrees"}


def test_bytes_that_are_not_utf8_are_a_usage_error_and_go_nowhere(daemon: ScriptedDaemon) -> None:
    daemon.on(*MESSAGES, QUEUED)
    on_stdin = daemon.run_client("send", given=b"caf\xe9")
    assert (on_stdin.code, on_stdin.out) == (2, "")
    assert "not UTF-8 at byte 3" in on_stdin.err
    for words in ([b"caf\xe9"], ["hi", "--thread", b"\xff"], ["hi", "--key", b"\xff"]):
        result = daemon.run_client("send", *words)
        assert (result.code, result.out) == (2, "")
        assert "Traceback" not in result.err
    assert daemon.requests == []


def test_a_text_larger_than_any_request_is_refused_before_it_is_read_whole(
    daemon: ScriptedDaemon,
) -> None:
    result = daemon.run_client("send", given=b"x" * (1024 * 1024 + 2))
    assert (result.code, daemon.requests) == (1, [])
    assert "1 MiB" in result.err


def test_a_closed_standard_input_is_a_usage_error(daemon: ScriptedDaemon) -> None:
    result = daemon.run_in_shell('"$@" send <&-')
    assert result.code == 2
    assert "standard input is closed" in result.err


def test_a_key_cannot_smuggle_in_a_header(daemon: ScriptedDaemon, run: Run) -> None:
    assert run("send", "hi", "--key", "a\r\nX-Evil: 1").code == 2
    assert daemon.requests == []


def test_a_refusal_is_told_with_its_reason_and_exit_1(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*MESSAGES, problem(422, "bad-field", "text must not be empty"))
    result = run("send", "")
    assert (result.code, result.out) == (1, "")
    assert result.err == "fleetchat: text must not be empty\n"


def test_an_answer_given_before_the_request_was_read_is_heard(
    daemon: ScriptedDaemon, run: Run
) -> None:
    # A server may refuse a large body by its header alone, and hang up on the rest.
    def refuse_early(line: Line) -> None:
        line.say(problem(413, "too-large", "the body is over 1 MiB"))

    daemon.on(*MESSAGES, refuse_early)
    assert "over 1 MiB" in run("send", "x" * 900_000).err


def test_a_broken_connection_is_asked_once_more_under_the_same_key(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.on(*MESSAGES, hang_up, QUEUED)
    result = run("send", "hi")
    assert (result.code, result.out) == (0, "m1\n")
    first, second = daemon.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] != ""
    assert first.body == second.body


def test_two_runs_are_two_messages(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*MESSAGES, QUEUED)
    run("send", "hi")
    run("send", "hi")
    first, second = (one.headers["idempotency-key"] for one in daemon.requests)
    assert first != second


def test_when_in_doubt_it_says_so_and_how_to_repeat_it_safely(
    daemon: ScriptedDaemon, run: Run
) -> None:
    def break_off(line: Line) -> None:
        line.say(b"HTTP/1.1 202 Accepted\r\nContent-Length: 500\r\n\r\n{")

    daemon.on(*MESSAGES, hang_up, break_off)
    result = run("send", "hi")
    assert (result.code, result.out, len(daemon.requests)) == (1, "", 2)
    assert f"--key {daemon.requests[0].headers['idempotency-key']}" in result.err


def test_a_daemon_that_restarts_in_the_middle_is_waited_for(
    daemon: ScriptedDaemon, run: Run
) -> None:
    def stop_and_return(_: Line) -> None:
        daemon.stop()
        daemon.on(*MESSAGES, QUEUED)
        timer = threading.Timer(0.4, daemon.start)
        timer.start()

    daemon.on(*MESSAGES, stop_and_return)
    assert run("send", "hi").code == 0


def test_a_daemon_that_goes_and_stays_away_leaves_the_key_to_repeat_with(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "RETURN_S", 0.3)
    daemon.on(*MESSAGES, lambda _: daemon.stop())
    result = run("send", "hi")
    assert result.code == 1
    assert "cannot tell whether" in result.err
    assert "--key" in result.err


def test_wait_exits_0_once_delivered(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*MESSAGES, DELIVERED)
    result = run("send", "hi", "--wait", "5")
    assert (result.code, result.out, result.err) == (0, "m1\n", "")
    assert float(daemon.requests[0].query["wait_s"]) == 5


@pytest.mark.parametrize("state", ["failed", "unknown"])
def test_wait_exits_1_with_the_reason_when_it_could_not_be_delivered(
    daemon: ScriptedDaemon, run: Run, state: str
) -> None:
    daemon.on(*MESSAGES, reply(200, {"id": "m1", "state": state, "error": "M_TOO_LARGE"}))
    result = run("send", "hi", "--wait", "5")
    assert (result.code, result.out) == (1, "m1\n")
    assert result.err == f"fleetchat: the message is {state}: M_TOO_LARGE\n"


def test_wait_exits_0_with_a_note_while_still_under_way(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*MESSAGES, reply(202, {"id": "m1", "state": "sending"}))
    result = run("send", "hi", "--wait", "0")
    assert (result.code, result.out) == (0, "m1\n")
    assert "still sending" in result.err


def test_a_wait_longer_than_one_request_may_last_goes_on_under_the_same_key(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "WAIT_LIMIT_S", 0.1)
    daemon.on(*MESSAGES, QUEUED, DELIVERED)
    assert run("send", "hi", "--wait", "1.2").code == 0
    first, second = daemon.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon", ""])
def test_a_wait_that_is_no_length_of_time_is_a_usage_error(run: Run, wait: str) -> None:
    assert run("send", "hi", f"--wait={wait}").code == 2


def test_an_answer_that_is_not_the_daemons_is_told_apart(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*MESSAGES, b"220 mail.example.internal ESMTP\r\n\r\n")
    result = run("send", "hi")
    assert result.code == 1
    assert "is it fleetchatd that listens" in result.err


def test_the_answer_on_a_full_disk_is_an_error(daemon: ScriptedDaemon) -> None:
    daemon.on(*MESSAGES, QUEUED)
    with open("/dev/full", "wb") as full:
        client = daemon.start_client("send", "hi", stdout=full)
        _, err = client.communicate(timeout=20)
    assert client.returncode == 1
    assert b"cannot write to standard output" in err
    assert b"Traceback" not in err


def test_an_id_from_a_hostile_daemon_cannot_drive_the_terminal(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.on(*MESSAGES, reply(202, {"id": "\x1b]0;owned\x07\n2", "state": "queued"}))
    assert run("send", "hi").out == "\\x1b]0;owned\\x07\\n2\n"
