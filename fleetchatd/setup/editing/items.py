"""A list in a roster, changed item by item: those that stay keep their comments."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from yaml import BlockEntryToken, FlowEntryToken

from fleetchatd.setup.editing.draft import Draft
from fleetchatd.setup.editing.layout import Node
from fleetchatd.setup.editing.words import exactly, inline


def change_items(draft: Draft, node: Node, old: Sequence[Any], new: Sequence[Any]) -> None:
    """Make a list that says `old` say `new`; neither is empty.

    Raises:
        CannotEdit: a comment would have to go.
    """
    matcher = SequenceMatcher(
        a=[exactly(item) for item in old], b=[exactly(item) for item in new], autojunk=False
    )
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            continue
        kept = a + min(b - a, d - c)
        for item, value in zip(node.children[a:kept], new[c:d], strict=False):
            replace_value(draft, item, value)
        for index in range(kept, b):
            _drop(draft, node, index, until_end=b == len(old))
        words = [inline(value, node.children[0].style) for value in new[c + kept - a : d]]
        _insert(draft, node, kept, words)


def replace_value(draft: Draft, node: Node, value: object) -> None:
    """Write `value` where `node` is, behind its anchor; the comment behind it stays.

    Raises:
        CannotEdit: a comment would have to go.
    """
    words = f"{node.anchor} {inline(value, node.style or draft.layout.quotes)}".lstrip()
    if node.is_block:
        # Up to the key: a list may be less indented than another value may be.
        draft.insert(draft.layout.before(node.start), f" {words}")
        draft.cut(node.start, node.end)
    else:
        # Nothing at all stands right behind its colon.
        draft.replace(node.start, node.end, " " * (node.start == node.end) + words)


def _drop(draft: Draft, node: Node, index: int, *, until_end: bool) -> None:
    item = node.children[index]
    if not node.is_flow:
        draft.cut(_dash(draft, node, index), item.end)
        return
    ends = [node.inside, *(child.end for child in node.children)]
    starts = [*(child.start for child in node.children), node.end]
    # The last items go with the comma before them, unless one stands behind the last, too.
    gap = index if until_end and not _commas(draft, ends[-1], starts[-1]) else index + 1
    (comma,) = _commas(draft, ends[gap], starts[gap])
    first, second = sorted([(item.start, item.end), (comma, comma + 1)])
    if draft.layout.has_comment(first[1], second[0]):
        draft.cut(*first)
        draft.cut(*second)
    else:
        draft.cut(first[0], second[1])


def _insert(draft: Draft, node: Node, index: int, words: Sequence[str]) -> None:
    """Put items before the one at `index`, or behind the last."""
    if not words:
        return
    above = node.children[index - 1] if index else None
    if node.is_flow:
        place = above.end if above else node.inside
        draft.insert(place, "".join(f", {each}" if above else f"{each}, " for each in words))
        return
    dash = _dash(draft, node, 0)
    line = draft.line_start(dash)
    place = above.end + len(draft.layout.behind(above.end)[0]) if above else line
    draft.insert_lines(place, (f"{' ' * (dash - line)}- {each}" for each in words))


def _dash(draft: Draft, node: Node, index: int) -> int:
    since = node.children[index - 1].end if index else node.start
    return draft.layout.marks(BlockEntryToken, since, node.children[index].start)[0]


def _commas(draft: Draft, start: int, end: int) -> list[int]:
    return draft.layout.marks(FlowEntryToken, start, end)
