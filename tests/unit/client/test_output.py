from __future__ import annotations

import json
import os
import pty
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.client import looks, output
from tests.unit.client.conftest import Run
from tests.unit.client.scripted import ScriptedDaemon, events, message

EVENTS = ("GET", "/v1/events")
HOSTILE = "\x1b]0;owned\x07\x9b2J\r\x00\x7f\u202edesrever\u2066\u2028"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TYPES = ["message", "edit", "redaction", "reaction", "delivery", "connector", "gap", "new", None]
FIELDS = ["seq", "time", "sender", "sender_name", "text", "thread_id", "id", "target", "key"]


@pytest.fixture(scope="module", autouse=True)
def no_terminal() -> Iterator[None]:
    """These tests read what a program would, also under `pytest -s`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "on_terminal", lambda: False)
        yield


def test_an_event_of_a_later_version_is_shown_whole() -> None:
    shown = looks.event_line({"type": "poll", "seq": 7, "choices": ["a", "ü"]})
    assert shown.endswith('(poll) {"type": "poll", "seq": 7, "choices": ["a", "ü"]}\n')


@given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES))
def test_no_event_whatever_is_in_it_takes_more_than_a_line_or_drives_a_terminal(
    kind: str | None, fields: dict[str, object]
) -> None:
    shown = looks.event_line({"type": kind} | fields)
    assert shown.count("\n") == 1
    assert shown.endswith("\n")
    assert not OBEYED.search(shown)


@given(JSON_VALUES, JSON_VALUES)
def test_no_answer_whatever_is_in_it_breaks_what_a_person_reads(one: object, two: object) -> None:
    thing = {
        "messages": [one, {"text": two}],
        "subscribers": [two, {"name": one}],
        "connector": one,
    }
    thing |= {
        "status": one,
        "outbox": {"queued": two},
        "journal": two,
        "text": one,
        "uptime_s": two,
    }
    for show in (
        looks.history_lines,
        looks.subscriber_table,
        looks.health_page,
        looks.message_page,
    ):
        assert not OBEYED.search(show(thing))


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    shown = output.line(HOSTILE)
    assert not OBEYED.search(shown)
    assert shown.startswith("\\x1b]0;owned\\x07\\x9b2J\\x0d")


def test_what_people_write_is_left_as_it_is() -> None:
    words = "naïve – 日本語 👩‍👩‍👧 ‏עברית"  # noqa: RUF001
    assert output.line(words) == words


def test_json_stays_the_same_value_and_harmless(daemon: ScriptedDaemon, run: Run) -> None:
    wanted = message(4, HOSTILE, sender_name="\ud800")
    daemon.on(*EVENTS, events(wanted))
    shown = run("read", "--name", "me", "--json").out
    assert not OBEYED.search(shown)
    assert json.loads(shown) == wanted


def test_a_text_of_several_lines_is_one_line_for_a_program(
    daemon: ScriptedDaemon, run: Run
) -> None:
    daemon.on(*EVENTS, events(message(4, "one\ntwo\n  4  13:00:00  Ann  fake")))
    assert len(run("read", "--name", "me").out.splitlines()) == 1


def on_terminal(daemon: ScriptedDaemon, *words: str, **environment: str) -> str:
    main_end, terminal = pty.openpty()
    surroundings = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    client = daemon.start_client(*words, stdout=terminal, env=surroundings | environment)
    os.close(terminal)
    shown = b""
    while True:
        try:
            data = os.read(main_end, 65536)
        except OSError:  # how Linux says that nobody has the terminal any more
            break
        shown += data
    client.communicate(timeout=20)
    os.close(main_end)
    return shown.decode().replace("\r\n", "\n")


def test_on_a_terminal_further_lines_are_indented_and_there_is_colour(
    daemon: ScriptedDaemon,
) -> None:
    daemon.on(*EVENTS, events(message(4, "one\ntwo\x1b[31m")))
    first, second = on_terminal(daemon, "read", "--name", "me").splitlines()
    assert first.endswith("  one")
    assert "\x1b[1mAnn" in first
    assert second == "          two\\x1b[31m"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_declined(daemon: ScriptedDaemon, environment: dict[str, str]) -> None:
    daemon.on(*EVENTS, events(message(4)))
    assert "\x1b" not in on_terminal(daemon, "read", "--name", "me", **environment)


def test_no_colour_without_a_terminal(daemon: ScriptedDaemon, run: Run) -> None:
    daemon.on(*EVENTS, events(message(4)))
    assert "\x1b" not in run("read", "--name", "me").out


def test_a_narrow_locale_loses_characters_but_not_the_event(daemon: ScriptedDaemon) -> None:
    daemon.on(*EVENTS, events(message(4, "日本 ship it")))
    surroundings = os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    client = daemon.start_client("read", "--name", "me", env=surroundings)
    out, err = client.communicate(timeout=20)
    assert (client.returncode, err) == (0, b"")
    assert b"?? ship it" in out
    client = daemon.start_client("read", "--name", "me", "--json", env=surroundings)
    assert json.loads(client.communicate(timeout=20)[0].decode())["seq"] == 4


def test_times_are_local_with_the_date_unless_it_is_today() -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    assert output.clock(now.isoformat()) == f"{now.astimezone():%H:%M:%S}"
    old = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert output.clock("2020-01-02T03:04:05Z") == f"{old.astimezone():%Y-%m-%d %H:%M:%S}"
    for odd in ("soon", "9999-12-31T23:59:59-23:00"):
        assert output.clock(odd) == odd


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0, "0.0 s"), (12.3, "12 s"), (300, "5 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_durations_read_as_people_say_them(value: object, shown: str) -> None:
    assert looks.duration(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (12, "12 bytes"), (90112, "88.0 KiB"), (3 << 30, "3.0 GiB")]
)
def test_sizes_read_as_people_say_them(value: object, shown: str) -> None:
    assert looks.size(value) == shown
