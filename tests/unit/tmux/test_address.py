"""The line that starts a message between panes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.tmux.address import Address, clean, is_tag, parse

NAMES = st.from_regex(r"[a-z0-9_.-]{1,12}:[A-Za-z0-9_.-]{1,12}", fullmatch=True)
CLASSES = st.sampled_from(["terminal-log", "actionable", "human", "reaction", None])
IDS = st.none() | st.from_regex(r"[A-Za-z0-9.-]{1,20}", fullmatch=True)
TAGS = st.none() | st.text(min_size=1, max_size=20).filter(is_tag)


@given(NAMES, NAMES, IDS, TAGS, CLASSES, st.text())
def test_what_was_written_is_read_again(
    source: str, to: str, message_id: str | None, tag: str | None, kind: str | None, text: str
) -> None:
    address = Address(source, to, message_id, tag, kind)
    assert parse(address.line(text)) == (address, text)


@pytest.mark.parametrize(
    ("line", "address", "text"),
    [
        ("[a:x -> b:y] text", Address("a:x", "b:y"), "text"),
        ("[a:x -> b:y class=human] t", Address("a:x", "b:y", event_class="human"), "t"),
        ("[a:x~k3 -> b:y#deploy] go", Address("a:x", "b:y", "k3", "deploy"), "go"),
        ("[a:x -> b:y] [c:z -> d:w] quoted", Address("a:x", "b:y"), "[c:z -> d:w] quoted"),
        ("[a:x -> b:y] ", Address("a:x", "b:y"), ""),
    ],
)
def test_the_fleets_grammar_is_understood(line: str, address: Address, text: str) -> None:
    assert parse(line) == (address, text)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        " [a:x -> b:y] indented",
        "[a:x -> b:y]no blank",
        "[a:x -> b:y",
        "[a:x  -> b:y] two blanks",
        "[a:x -> b:y class=other] a class that there is not",
        "> [a:x -> b:y] quoted",
    ],
)
def test_what_only_looks_like_one_is_none(line: str) -> None:
    assert parse(line) is None


@given(st.text())
def test_cleaned_text_cannot_drive_a_terminal(text: str) -> None:
    shown = clean(text)
    assert all(char in "\t\n" or not (char < " " or "\x7f" <= char <= "\x9f") for char in shown)
    assert clean(shown) == shown


def test_cleaning_keeps_lines_tabs_and_every_script() -> None:
    said = "a\tb\r\nc\rd\né 👩‍👩‍👧 部屋 שלום"
    assert clean("\x1b[31m" + said) == "[31m" + said.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("word", ["a b", "", "a\n", "x" * 201, "a\x1b"])
def test_a_thread_that_would_break_the_line_is_no_tag(word: str) -> None:
    assert not is_tag(word)
