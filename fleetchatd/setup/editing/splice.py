"""The smallest changes that make a roster's text say something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleetchatd.setup.editing.draft import Draft
from fleetchatd.setup.editing.items import change_items, replace_value
from fleetchatd.setup.editing.layout import BREAKS, Node
from fleetchatd.setup.editing.words import block, exactly, inline


def splice(text: str, values: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """`text`, which says `values`, made to say `wanted`; nothing is taken away but list items.

    What anchors and aliases do beyond their place is not looked at: read the result again.

    Raises:
        CannotEdit: a comment would have to go.
    """
    draft = Draft(text)
    _change_entries(draft, draft.layout.root, values, wanted)
    return draft.result()


def _change_entries(
    draft: Draft, node: Node, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    """Change and add entries. What is merged is written out: its source may have other users."""
    added = {}
    for key, value in new.items():
        if key in old and exactly(old[key]) == exactly(value):
            continue
        place = node.entry(key)
        if place is None:
            added[key] = value
        else:
            _change_value(draft, node, place, old[key], value)
    if added:
        _add_entries(draft, node, added)


def _change_value(draft: Draft, parent: Node, node: Node, old: object, new: object) -> None:
    if node.is_mapping and isinstance(old, Mapping) and isinstance(new, Mapping):
        _change_entries(draft, node, old, new)
    elif node.is_list and isinstance(old, list) and old and isinstance(new, list) and new:
        change_items(draft, node, old, new)
    elif isinstance(new, Mapping) and new and not parent.is_flow:
        _become_block(draft, parent, node, new)
    else:
        replace_value(draft, node, new)


def _become_block(draft: Draft, parent: Node, node: Node, new: Mapping[str, Any]) -> None:
    """Take `null`, an alias or the like away, and write entries below its key."""
    if node.anchor:
        draft.replace(node.start, node.end, node.anchor)
    else:
        draft.replace(len(draft.text[: node.start].rstrip(" \t")), node.end, "")
    step = _step(parent)
    place = draft.below(node.end, parent.column + 1)
    draft.insert_lines(place, block(new, parent.column + step, step))


def _add_entries(draft: Draft, node: Node, entries: Mapping[str, Any]) -> None:
    if node.is_flow:
        words = inline(entries, draft.layout.quotes)[1:-1]
        if node.children:
            draft.insert(node.children[-1].end, f", {words}")
        else:
            draft.insert(node.inside, words)
        return
    place = _place_for_more(draft, node)
    lines = list(block(entries, node.column, _step(node)))
    above = draft.text[:place].splitlines()
    if node is draft.layout.root and not node.ends_in_block_scalar and above[-1].strip():
        lines.insert(0, "")
    draft.insert_lines(place, lines)


def _place_for_more(draft: Draft, node: Node) -> int:
    """Where a block mapping may have more lines: as far below as is safe."""
    place, is_safe = draft.below(node.end, node.column), not node.ends_in_block_scalar
    if node is draft.layout.root:  # below the last comment; `...` may follow
        behind = draft.layout.behind(node.end)
        place = node.end + len("".join(behind))
        is_safe = is_safe or behind[-1].endswith(BREAKS) or "#" in behind[-1]
    # What comes behind a text in lines can take blank lines from it, or add a line break to it.
    return place if is_safe else draft.line_start(node.children[-2].start)


def _step(mapping: Node) -> int:
    """By how much more than `mapping` one within it is indented, as far as one can see."""
    for _, value in mapping.entries():
        if value.is_mapping and value.is_block and value.column > mapping.column:
            return value.column - mapping.column
    return mapping.column or 2
