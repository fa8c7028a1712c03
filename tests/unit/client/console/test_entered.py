from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.client.console.entered import (
    Help,
    Hint,
    Meaning,
    Nothing,
    Quit,
    Say,
    ShowThread,
    Thread,
    meaning,
)

PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\t\n"))


@given(PRINTABLE.filter(lambda text: text.strip() and not text.startswith("/")))
def test_words_are_said_as_they_are(text: str) -> None:
    assert meaning(text) == Say(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", Nothing()),
        (" \t\n ", Nothing()),
        ("\x07\x1b", Nothing()),
        ("/help", Help()),
        ("/quit  ", Quit()),
        ("/thread", ShowThread()),
        ("/thread deploy", Thread("deploy")),
        ("/thread #deploy", Thread("deploy")),
        ("/thread -", Thread(None)),
        ("//etc", Say("/etc")),
        (" /etc", Say(" /etc")),
    ],
)
def test_a_line_means(line: str, said: Meaning) -> None:
    assert meaning(line) == said


@pytest.mark.parametrize(
    "line", ["/", "/etc/passwd is gone", "/thread a b", "/help me", "/quit now", "/THREAD x"]
)
def test_what_cannot_be_meant_is_never_sent(line: str) -> None:
    assert isinstance(meaning(line), Hint)


def test_a_tag_that_no_address_could_hold_is_refused() -> None:
    assert isinstance(meaning("/thread " + "x" * 201), Hint)


def test_control_characters_are_stripped_and_bytes_that_are_no_text_are_replaced() -> None:
    assert meaning("a\x1b[1mb\r\nc\udcff") == Say("a[1mb\nc\ufffd")
