from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from fleetchatd.client.console import above
from fleetchatd.client.console.look import Look, shortened, wanted, wrapped
from fleetchatd.client.console.pasted import Message
from fleetchatd.tmux.spool import Names, Submission

PLAIN = Look(colour=False, styled=False)
FULL = Look(colour=True, styled=True)
NAMES = Names("web1:operator", "web1:mos")
MARKDOWN = st.text(st.sampled_from("ab1é漢 \t\n*_`~#>-+.)|:!<&;[](\\\"'/@"), max_size=200)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def said(text: str, columns: int = 80, look: Look = PLAIN, *, verbatim: bool = False) -> list[str]:
    message = Message("1", "mos", text, verbatim=verbatim)
    return above.said(message, "header", columns, look)[1:]


def bare(lines: list[str]) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(lines))


def letters(text: str) -> Counter[str]:
    return Counter(filter(str.isalnum, text))


@given(MARKDOWN, st.integers(12, 60), st.booleans())
def test_no_text_is_cut_comes_to_the_first_column_or_is_too_wide(
    text: str, columns: int, verbatim: bool
) -> None:
    lines = said(text, columns, verbatim=verbatim)
    assert letters(text) <= letters("".join(lines))
    assert [line for line in lines if line and not line.startswith("  ")] == []
    assert [line for line in lines if sum(map(get_cwidth, line)) > columns] == []


@given(st.text(max_size=100), st.integers(12, 60))
def test_output_of_programs_is_shown_as_it_is(text: str, columns: int) -> None:
    clean = "".join(one for one in text if one.isprintable())
    pieces = [line.removeprefix("  ") for line in said(clean, columns, verbatim=True)]
    assert "".join(pieces) == clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The **build** is *green*.", "The build is green."),
        ("# Done\ntext", "Done\n\ntext"),
        ("one\ntwo", "one\ntwo"),
        ("<b>bold</b> & &amp; <!-- x -->", "<b>bold</b> & &amp; <!-- x -->"),
        ("run `make test`", "run `make test`"),
        ("[docs](https://a.example/b)", "docs (https://a.example/b)"),
        ("<https://a.example/b>", "https://a.example/b"),
        ("![plan](https://a.example/p.png)", "!plan (https://a.example/p.png)"),
        (r"C:\new\*.txt \d+\.", r"C:\new\*.txt \d+\."),
        ("[a]: b", "[a]: b"),
        ("[x:y~1 -> web1:operator] z", "[x:y~1 -> web1:operator] z"),
        ("- a\n- b", " • a\n • b"),
        ("```python\nx  = 1\n\ny\n```", "  x  = 1\n\n  y"),
        ("```hello", "```hello"),
        ("> quote", "▌ quote"),
        ("***", "***"),
        ("7. a\n9. b", "7. a\n9. b"),  # counting on, it would say 8
        ("|a|\n|-|\n|b|c|", "|a|\n|-|\n|b|c|"),  # the table has no place for the c
    ],
)
def test_markdown_is_readable_and_whole(text: str, shown: str) -> None:
    assert bare(said(text, look=FULL)) == "\n".join(
        f"  {line}" if line else "" for line in shown.split("\n")
    )


def test_a_table_is_folded_into_a_narrow_pane() -> None:
    table = "| what | why |\n|---|---|\n| build | " + "because " * 10 + "|"
    lines = said(table, 40)
    assert "".join(lines).count("because") == 10
    assert max(map(get_cwidth, lines)) <= 40


@pytest.mark.parametrize("text", ["[" * 30_000, "*a " * 10_000, "> " * 15_000, "a" * 10**6])
def test_no_text_holds_up_the_console(text: str) -> None:
    started = datetime.now(UTC)
    assert letters(text) <= letters("".join(said(text)))
    assert datetime.now(UTC) - started < timedelta(seconds=5)


def test_marks_that_reverse_the_writing_are_shown_and_not_obeyed() -> None:
    assert said("a\u202eb") == ["  a\\u202eb"]


def test_nothing_links_anywhere() -> None:
    assert "\x1b]" not in "".join(said("[a](https://b.example) https://c.example", look=FULL))


def test_what_the_operator_said_stands_behind_its_address() -> None:
    submission = Submission("0k3", "ship it\n[now]", 0.0, "deploy")
    assert above.own(submission, NAMES, PLAIN) == [
        "[web1:operator~0k3 -> web1:mos#deploy] ship it",
        "  [now]",
    ]


def header(tag: str, last: datetime | None = None, columns: int = 80) -> str:
    return above.header(Message("1", "mos", "hi", tag=tag), NOON, last, columns, PLAIN)


def test_the_header_says_the_date_when_the_day_has_changed() -> None:
    assert header("deploy") == "12:00 mos #deploy"
    assert header("deploy", NOON - timedelta(hours=1)) == "12:00 mos #deploy"
    assert header("deploy", NOON - timedelta(days=1)) == "2026-11-23 12:00 mos #deploy"


def test_the_header_is_one_line_whatever_the_tag() -> None:
    assert header("x" * 200, columns=40) == "12:00 mos #" + "x" * 14 + "…"
    assert header("\u202e" * 20, columns=40).isprintable()


@given(st.text(), st.integers(2, 20))
def test_wrapping_loses_nothing_and_fits(line: str, columns: int) -> None:
    pieces = wrapped(line, columns)
    assert "".join(pieces) == line
    assert [piece for piece in pieces if sum(map(get_cwidth, piece)) > columns] == []


def test_a_long_tag_is_shortened() -> None:
    assert shortened("deploy", 6) == "deploy"
    assert shortened("deployment", 6) == "deplo…"


@pytest.mark.parametrize(
    ("environment", "look"),
    [
        ({"TERM": "screen"}, FULL),
        ({"TERM": "screen", "NO_COLOR": "1"}, Look(colour=False, styled=True)),
        ({"TERM": "screen", "NO_COLOR": ""}, FULL),
        ({"TERM": "dumb"}, PLAIN),
    ],
)
def test_the_look_is_what_the_environment_wants(environment: dict[str, str], look: Look) -> None:
    assert wanted(environment) == look
