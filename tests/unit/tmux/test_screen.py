"""What is read off two looks at a screen."""

from __future__ import annotations

import pytest

from fleetchatd.tmux.panes import Pane
from fleetchatd.tmux.screen import Screen, is_accepted, stands

LINE = "[web1:mos~k3 -> web1:operator] ship it"


def screen(*rows: str, cursor: int | None = None) -> Screen:
    """A screen whose cursor is in the last of these rows, unless said otherwise."""
    row = len(rows) - 1 if cursor is None else cursor
    pane = Pane("%1", 1, "/dev/null", "agent", None, False, True, False, (0, row), (40, 24))
    return Screen(pane, (*rows, "", ""))


@pytest.mark.parametrize(
    ("before", "drafted", "after"),
    [
        (">", screen(f"> {LINE}"), screen(f"> {LINE}", "you said so", ">")),
        (">", screen(f"> {LINE}"), screen("* thinking")),
        (">>>", screen(f">>> {LINE}"), screen("SyntaxError", ">>>")),
        ("", screen("frame", "", cursor=1), screen("frame", "you: ship it", cursor=1)),
        (None, screen(f"> {LINE}"), screen(f"you: {LINE}", "thinking", ">")),
    ],
    ids=["prompt is back", "another line", "answer", "input elsewhere", "draft of before"],
)
def test_accepted(before: str | None, drafted: Screen, after: Screen) -> None:
    assert is_accepted(before, drafted, after, LINE)


@pytest.mark.parametrize(
    ("before", "drafted", "after"),
    [
        (">", screen(f"> {LINE}"), screen(f"> {LINE}")),
        (">", screen(f"> {LINE}"), screen(f"> {LINE}", " ")),
        (
            ">",
            screen("> [web1:mos~k3 -> web1:ope", "rator] ship it"),
            screen("r1:operator] ship i", "t"),
        ),
        ("", screen("frame", "", cursor=1), screen("frame", "", cursor=1)),
    ],
    ids=["nothing happened", "a new line", "another width", "input elsewhere"],
)
def test_not_accepted(before: str | None, drafted: Screen, after: Screen) -> None:
    assert not is_accepted(before, drafted, after, LINE)


@pytest.mark.parametrize(
    "shown",
    [
        screen(f"> {LINE}"),
        screen("> [web1:mos~k3 -> web1", "  :operator] ship it"),
        screen(
            "╭──────╮",
            "│ > [web1:mos~k3 -> web1│",
            "│ :operator] ship it    │",
            "╰──────╯",
            cursor=2,
        ),
    ],
)
def test_a_draft_is_known_however_it_is_wrapped_and_framed(shown: Screen) -> None:
    assert stands(shown, LINE)


@pytest.mark.parametrize(
    "shown", [screen(f"> {LINE}", ""), screen(f"> {LINE}", ">"), screen("> ship it"), screen("")]
)
def test_what_was_entered_or_is_not_all_of_it_is_no_draft(shown: Screen) -> None:
    assert not stands(shown, LINE)
