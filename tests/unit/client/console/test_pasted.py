from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.client.console.pasted import Message, message
from fleetchatd.tmux.address import Address

OPERATOR = "web1:operator"
PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\t\n"))


@given(PRINTABLE)
def test_a_message_comes_as_it_was_said(text: str) -> None:
    line = Address("web1:mos", OPERATOR, "k3", "deploy").line(text).replace("\n", "\x1e")
    assert message(line, OPERATOR) == Message("k3", "mos", text.rstrip("\n"), "deploy")


@pytest.mark.parametrize("line_break", ["\x1e", "\n", "\r", "\r\n"])
def test_line_breaks_of_every_kind_are_line_breaks(line_break: str) -> None:
    found = message(f"[a:mos~1 -> {OPERATOR}] one{line_break}two", OPERATOR)
    assert found is not None
    assert found.text == "one\ntwo"


def test_a_host_has_more_than_one_name() -> None:
    assert message("[web1:mos -> web1.example.org:operator] hi", OPERATOR) is not None


@pytest.mark.parametrize(
    "text",
    [
        "ship it",
        "[web1:mos -> web1:somebody] for another session",
        "look: [web1:mos -> web1:operator] quoted",
        "[web1:mos->web1:operator] no address",
        "[]",
        "",
    ],
)
def test_anything_else_is_a_persons_paste(text: str) -> None:
    assert message(text, OPERATOR) is None


def test_an_id_that_could_leave_the_folder_is_none() -> None:
    found = message(f"[web1:mos~../../x -> {OPERATOR}] hi", OPERATOR)
    assert found is not None
    assert found.id is None


def test_output_of_programs_is_verbatim() -> None:
    found = message(f"[web1:mos~1 -> {OPERATOR} class=terminal-log] *hi*", OPERATOR)
    assert found is not None
    assert found.verbatim


def test_before_any_daemon_has_told_who_is_who_a_message_is_for_us() -> None:
    assert message("[web1:mos~1 -> web1:ann] hi", None) is not None
