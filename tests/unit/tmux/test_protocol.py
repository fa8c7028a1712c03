"""What tmux writes in control mode, in whatever pieces it arrives."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.tmux.protocol import Answer, ControlStream, Notice, quoted

SAID = (
    b"%begin 1795414355 264 0\n%end 1795414355 264 0\n"
    b"%session-changed $0 operator\n"
    b"%begin 1795414355 269 1\n"
    b"%output is what a line of an answer may begin with\n"
    b"%end 1795414355 268 1\n"
    b"\xc3\xa9 and \xff\n"
    b"%end 1795414355 269 1\n"
    b"%extended-output %0 0 : \\033[1mhi\n"
    b"%begin 1795414356 270 1\nunknown command: x\n%error 1795414356 270 1\n"
    b"%exit\n"
)
MEANT = [
    Answer((), failed=False, ours=False),
    Notice("session-changed", "$0 operator"),
    Answer(
        (
            "%output is what a line of an answer may begin with",
            "%end 1795414355 268 1",
            "é and �",
        ),
        failed=False,
        ours=True,
    ),
    Notice("extended-output", "%0 0 : \\033[1mhi"),
    Answer(("unknown command: x",), failed=True, ours=True),
    Notice("exit", ""),
]


@given(st.lists(st.integers(0, len(SAID)), max_size=8))
def test_the_pieces_do_not_matter(cuts: list[int]) -> None:
    stream = ControlStream()
    ends = [0, *sorted(cuts), len(SAID)]
    pieces = [SAID[start:end] for start, end in itertools.pairwise(ends)]
    assert [item for piece in pieces for item in stream.feed(piece)] == MEANT


@given(st.binary())
def test_noise_is_no_notice_and_breaks_nothing(noise: bytes) -> None:
    for item in ControlStream().feed(noise + b"\n"):
        assert isinstance(item, Answer | Notice)


def test_a_line_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetchatd.tmux.protocol.LONGEST_LINE_BYTES", 100)
    with pytest.raises(ValueError, match="without an end"):
        ControlStream().feed(b"x" * 101)


@given(st.text())
def test_a_quoted_word_stays_on_its_line(text: str) -> None:
    word = quoted(text)
    assert "\n" not in word
    assert word[0] == word[-1] == '"'
