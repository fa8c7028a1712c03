from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from fleetchatd_connector_xmpp.stanzas import LONGEST_BYTES, sound, split


@pytest.mark.parametrize(
    "text",
    ["", "a", "<" * 20_000, "🚀" * 9_000, "word " * 9_000, "line\n" * 9_000, "e\u0301" * 9_000],
)
def test_parts_fit_a_stanza_and_lose_nothing(text: str) -> None:
    parts = list(split(text))
    assert "".join(parts) == text
    assert all(part and len(escape(part).encode()) <= LONGEST_BYTES for part in parts)


def test_a_text_is_cut_behind_a_line_or_a_word() -> None:
    assert {part[-1] for part in split("some words\n" * 2_000)} == {"\n"}
    assert {part[-1] for part in split("word " * 5_000)} == {" "}


def test_what_xml_cannot_carry_is_replaced() -> None:
    assert sound("a\x00\x1b[31m\ufffe\t\n") == "a\ufffd\ufffd[31m\ufffd\t\n"
