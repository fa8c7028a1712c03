from __future__ import annotations

import re
import time

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetchatd.connectors.matrix.content import CONTENT_BYTES, message_content
from fleetchatd.connectors.matrix.split import FORMATTED_BYTES, GREATEST_BYTES, split
from fleetchatd.model import Format
from tests.unit.connectors.matrix.parts import part

FORMATS: list[Format] = ["plain", "markdown"]

CHARACTERS = [*'a \t\n*"\\\x01é', "e\u0301", "\U0001f469\u200d\U0001f467"]
PIECES = st.sampled_from(
    [*CHARACTERS, "word ", "\n\n", "\r\n\r\n", "```py\n", "```\n", "~~~\n", "# h\n", "- x\n", "`c`"]
)
LONG_TEXTS = st.lists(st.tuples(PIECES, st.integers(1, 3000)), min_size=1, max_size=40).map(
    lambda runs: "".join(piece * count for piece, count in runs)
)


def size_bytes(text: str) -> int:
    return len(orjson.dumps(text)) - 2


@given(LONG_TEXTS, st.sampled_from(FORMATS))
@settings(max_examples=40, deadline=None)
def test_parts_are_lossless_and_fit_whatever_the_text(text: str, text_format: Format) -> None:
    parts = split(text, text_format)
    assert "".join(parts) == text
    assert all(size_bytes(piece) <= GREATEST_BYTES for piece in parts)


@given(LONG_TEXTS, st.sampled_from(FORMATS))
@settings(max_examples=40, deadline=None)
def test_no_part_is_blank(text: str, text_format: Format) -> None:
    text = re.sub(r"\s{3000,}", "\n", text)
    parts = split(text, text_format)
    assert len(parts) == 1 or all(piece.strip() for piece in parts)


@given(LONG_TEXTS)
@settings(max_examples=40, deadline=None)
def test_every_part_becomes_an_event_that_is_not_too_large(text: str) -> None:
    parts = split(text, "markdown")
    for index in range(len(parts)):
        draft = part(*parts, index=index, thread_id="$" + "r" * 254)
        content = message_content(draft, latest_in_thread="$" + "l" * 254)
        assert len(orjson.dumps(content)) <= CONTENT_BYTES


@pytest.mark.parametrize("text_format", FORMATS)
def test_what_fits_is_left_whole(text_format: Format) -> None:
    assert split("", text_format) == ("",)
    assert split(" \n", text_format) == (" \n",)
    assert split("x" * 57_000, text_format) == ("x" * 57_000,)


def test_paragraphs_are_kept_whole() -> None:
    paragraphs = ["word " * 3000 + "\n\n" for _ in range(9)]
    parts = split("".join(paragraphs), "plain")
    assert parts == tuple("".join(paragraphs[at : at + 3]) for at in (0, 3, 6))


@pytest.mark.parametrize("lines", [700, 2000, 5000])
def test_code_fences_are_kept_whole(lines: int) -> None:
    block = "```py\n" + "x = 1\n\n" * lines + "```\n"
    text = f"First:\n{block}Second:\n{block}Third:\n{block}Fourth:\n{block}"
    parts = split(text, "markdown")
    assert "".join(parts) == text
    assert len(parts) > 1
    assert all(piece.count("```") in (0, 2, 4) for piece in parts)


def test_a_paragraph_longer_than_wanted_is_kept_whole_if_an_event_can_hold_it() -> None:
    text = "*Hi*\n\n" + "some words\n" * 3000 + "\nBye\n\n" + "word " * 6000 + "\n"
    parts = split(text, "markdown")
    assert parts == ("*Hi*\n\n", "some words\n" * 3000 + "\n", "Bye\n\n", "word " * 6000 + "\n")


def test_a_fence_longer_than_an_event_is_cut_between_lines() -> None:
    text = "Look:\n\n```\n" + "a line of code\n\n" * 4000 + "```\n"
    parts = split(text, "markdown")
    assert parts[0] == "Look:\n\n"
    assert all(piece.endswith("\n") for piece in parts)
    rendered = message_content(part(*parts, index=2), latest_in_thread=None)["formatted_body"]
    assert rendered.startswith("<pre><code>a line of code\n")


def test_without_blank_lines_it_is_cut_between_lines_then_words() -> None:
    assert all(piece.endswith("\n") for piece in split("some words\n" * 10_000, "plain")[:-1])
    assert all(piece.endswith(" ") for piece in split("word " * 20_000, "plain")[:-1])


@pytest.mark.parametrize("cluster", ["e\u0301", "\U0001f469\u200d\U0001f467", "\u2764\ufe0f"])
def test_what_is_shown_as_one_character_stays_together(cluster: str) -> None:
    parts = split("x" + cluster * 40_000, "plain")
    assert len(parts) > 1
    assert all(piece.endswith(cluster) for piece in parts)


def test_markup_leaves_room_for_its_html() -> None:
    parts = split("Some **bold** words.\n\n" * 5000, "markdown")
    assert all(size_bytes(piece) <= FORMATTED_BYTES for piece in parts)
    for index in range(len(parts)):
        assert "formatted_body" in message_content(part(*parts, index=index), latest_in_thread=None)


def test_escapes_count() -> None:
    assert all(size_bytes(piece) <= GREATEST_BYTES for piece in split('"\\\x01' * 30_000, "plain"))


def test_white_space_around_a_cut_is_merged_into_its_neighbours() -> None:
    text = "a" * 57_000 + "\n" * 500
    parts = split(text, "plain")
    assert "".join(parts) == text
    assert [bool(piece.strip()) for piece in parts] == [True, True]


@pytest.mark.parametrize(
    "piece",
    [*'`\n "\x01\u0301', "> ", "- ", "```\n", "a" * 29_000 + "\x01" * 29_000],
    ids=lambda piece: repr(piece[:4]),
)
def test_the_worst_mebibyte_is_split_in_linear_time(piece: str) -> None:
    text = "x" + piece * (2**20 // len(piece))
    began = time.process_time()
    assert "".join(split(text, "markdown")) == text
    # A quadratic step takes minutes here; the rest is room for a slow machine.
    assert time.process_time() - began < 2
