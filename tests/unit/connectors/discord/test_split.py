"""Splitting: every part fits, nothing is lost, and code stays code."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleetchatd.connectors.discord.split import (
    FENCE,
    LONGEST_UNITS,
    blocks,
    rendered,
    split,
    units,
)

WORDS = st.sampled_from(
    [
        *("word", " ", "\n", "\n\n", "\t", "`", "``", "```", "```python\n", "```" + "i" * 60),
        *("a" * 700, "🚀" * 300, "é" * 40, "👩‍👩‍👧" * 30, " " * 900, "\n" * 2100, "x = 1\n" * 90),
    ]
)
TEXTS = st.lists(WORDS, max_size=40).map("".join)


def shown(text: str) -> list[str]:
    """What goes out for the parts of a text."""
    parts = split(text)
    alone = len(parts) == 1
    return [
        rendered("".join(parts[:number]), part, alone=alone) for number, part in enumerate(parts)
    ]


@given(TEXTS)
@settings(max_examples=400, deadline=None)
@example("```" * 2000)
@example("`" * 5000)
@example("a" + "\n" * 6000 + "b")
@example("```\n" + "x" * 1992 + "\n```")
@example("x" * 1998 + "```y```" + "z" * 1990)
def test_parts_are_the_text_and_each_fits_with_its_fences(text: str) -> None:
    parts = split(text)
    assert "".join(parts) == text
    assert all(units(part) <= LONGEST_UNITS for part in shown(text))
    if len(parts) > 1:
        assert all(part.count(FENCE) % 2 == 0 for part in shown(text))
        assert all(part.strip() for part in shown(text))


@given(st.lists(st.text(st.characters(exclude_characters="`"), max_size=400), max_size=20))
@settings(max_examples=150, deadline=None)
def test_code_is_all_there_and_code_in_every_part(lines: list[str]) -> None:
    code = "\n".join(lines)
    text = f"before\n```python\n{code}\n```\nafter"
    told = "".join(
        part[block.start + len(block.opener) : block.end - len(FENCE)]
        for part in shown(text)
        for block in blocks(part)
    )
    assert "".join(told.split()) == "".join(code.split())
    if len(split(text)) > 1:
        assert all(block.opener == "```python\n" for part in shown(text) for block in blocks(part))


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("a" * 1500 + "\n\n" + "b" * 1500, "a\n\n"),
        ("a" * 1500 + "\n" + "b c " * 400, "a\n"),
        ("a" * 1500 + " " + "b" * 1500, "a "),
        ("a" * 3000, "a"),
        ("a" * 1000 + "\n```\n" + "b\n" * 700 + "```", "a\n"),
        ("```\n" + "a\n" * 700 + "```\n" + "b" * 1000, "```\n"),
    ],
)
def test_a_part_ends_where_a_reader_would_pause(text: str, ends: str) -> None:
    first, *_ = split(text)
    assert first.endswith(ends)
    assert text[len(first) - 1] != text[len(first)] or ends == "a"


def test_a_code_block_is_closed_and_opened_again_with_its_language() -> None:
    first, second = shown("```python\n" + "x = 1\n" * 500 + "```")
    assert first.startswith("```python\nx = 1\n")
    assert first.endswith("x = 1\n```")
    assert second.startswith("```python\nx = 1\n")
    assert second.endswith("x = 1\n```")


def test_a_code_block_that_fits_a_message_is_in_one() -> None:
    block = "```\n" + "b" * (LONGEST_UNITS - 8) + "\n```"
    assert units(block) == LONGEST_UNITS
    assert shown(f"{'a ' * 600}\n{block}\n{'c ' * 600}")[1] == block


def test_astral_characters_count_twice_and_are_not_torn() -> None:
    assert [len(part) for part in split("🚀" * 1001)] == [1000, 1]
    family = "👩‍👩‍👧"
    assert all(part.count("👩") % 2 == 0 for part in split(family * 400))


def test_a_text_that_fits_goes_out_as_it_is() -> None:
    text = "unclosed ``` fence"
    assert (split(text), shown(text)) == ((text,), [text])


def test_a_megabyte_is_split_at_once() -> None:
    text = "```\n" + "word " * 100_000 + "```\n" + "word `` " * 60_000
    assert "".join(split(text)) == text
