"""Where everything in a roster's text stands: its values, and what lies between them.

The positions are those of the parser that also reads rosters (libyaml, by way of PyYAML), so that
what is edited is what would be read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

BREAKS: Final = ("\r", "\n", "\x85", "\u2028", "\u2029")
"""What ends a line, for this parser."""
_BLANK: Final = " \t" + "".join(BREAKS)
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Node:
    """A value as it is written.

    Attributes:
        event: how it begins.
        start: where it begins, with its anchor and its tag.
        inside: where what is in a collection begins: behind a bracket, or its first key or dash.
        column: how far a block mapping is indented, in characters.
        end: behind its last character; a block scalar's last line break is not part of it.
        children: a list's items; a mapping's keys and values in turn.
    """

    event: Any  # a yaml.NodeEvent
    start: int
    inside: int
    column: int
    end: int
    children: tuple[Node, ...] = ()

    @property
    def anchor(self) -> str:
        """Its anchor as it is written, or nothing."""
        anchored = self.event.anchor and not isinstance(self.event, yaml.AliasEvent)
        return f"&{self.event.anchor}" if anchored else ""

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping, and not an alias that stands for one."""
        return isinstance(self.event, yaml.MappingStartEvent)

    @property
    def is_list(self) -> bool:
        """Whether it is a list, and not an alias that stands for one."""
        return isinstance(self.event, yaml.SequenceStartEvent)

    @property
    def is_flow(self) -> bool:
        """Whether it is a collection within brackets."""
        return isinstance(self.event, yaml.CollectionStartEvent) and bool(self.event.flow_style)

    @property
    def is_block(self) -> bool:
        """Whether it is a collection in lines, which has no end of its own."""
        return bool(self.children) and not self.is_flow

    @property
    def style(self) -> str | None:
        """A scalar's quotes, `|` or `>`; None for a plain one, and for what is no scalar."""
        return self.event.style or None if isinstance(self.event, yaml.ScalarEvent) else None

    @property
    def ends_in_block_scalar(self) -> bool:
        """Whether its last line belongs to a text after `|` or `>`: blank lines below may, too."""
        if self.is_block:
            return self.children[-1].ends_in_block_scalar
        return self.style in ("|", ">")

    def entries(self) -> Iterator[tuple[Node, Node]]:
        """A mapping's keys with their values."""
        return zip(self.children[::2], self.children[1::2], strict=True)

    def entry(self, key: str) -> Node | None:
        """The value that stands at `key` here; None for one that is merged from elsewhere."""
        for name, value in self.entries():
            if isinstance(name.event, yaml.ScalarEvent) and name.event.value == key:
                return value
        return None


class Layout:
    """The text of a roster that can be parsed."""

    def __init__(self, text: str) -> None:
        self.text = text
        events = yaml.parse(text, Loader=_LOADER)
        begin = next(event for event in events if isinstance(event, yaml.NodeEvent))
        self.root = self._node(begin, events)
        # Those that can be seen: a block's beginning and end have no characters of their own.
        tokens = [(*_span(token), token) for token in yaml.scan(text, Loader=_LOADER)]
        self._tokens = [(start, end, token) for start, end, token in tokens if start < end]
        self._starts = [start for start, _, _ in self._tokens]

    @property
    def quotes(self) -> str | None:
        """What all texts are quoted with: `"` in a roster that is JSON."""
        keys = self.root.children[:1] if self.root.is_flow else ()
        return keys[0].style if keys and keys[0].style == '"' else None

    def _node(self, event: Any, events: Iterator[Any]) -> Node:
        start, end = _span(event)
        column = event.end_mark.column
        if not isinstance(event, yaml.CollectionStartEvent):
            written = len(self.text[start:end].rstrip(_BLANK))
            return Node(event, start, end, column, start + written)
        children = []
        while not isinstance(inner := next(events), yaml.CollectionEndEvent):
            children.append(self._node(inner, events))
        # A block's own end mark is where the next thing begins, behind comments.
        last = _span(inner)[1] if event.flow_style else children[-1].end
        return Node(event, start, end, column, last, tuple(children))

    def before(self, place: int) -> int:
        """The end of what is written before `place`, comments aside."""
        index = bisect_left(self._starts, place)
        return self._tokens[index - 1][1] if index else 0

    def behind(self, place: int) -> list[str]:
        """What follows `place` up to the next thing written, by lines.

        The first is the rest of a line (it is always there); the others are comments and blank
        lines, but for the last, which may be the indentation of what comes next.
        """
        index = bisect_left(self._starts, place)
        end = self._starts[index] if index < len(self._starts) else len(self.text)
        return self.text[place:end].splitlines(keepends=True) or [""]

    def marks(self, kind: type[yaml.Token], start: int, end: int) -> list[int]:
        """Where the dashes or the commas between two places are."""
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return [begin for begin, _, token in self._tokens[first:last] if isinstance(token, kind)]

    def has_comment(self, start: int, end: int) -> bool:
        """Whether a comment stands between two places."""
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        place = start
        for begin, stop, token in self._tokens[first:last]:
            # `|` and `>` may have a comment behind them, which is no token of its own.
            is_block = isinstance(token, yaml.ScalarToken) and token.style in ("|", ">")
            head = self.text[begin:stop].splitlines()[0] if is_block else ""
            if "#" in self.text[place:begin] + head:
                return True
            place = stop
        return "#" in self.text[place:end]

    def line_start(self, place: int) -> int | None:
        """Where the line of `place` begins; None if something else is written before it there."""
        before = self.before(place)
        # From its last character on: a block scalar ends with its line break.
        between = self.text[max(before - 1, 0) : place].splitlines(keepends=True)
        *above, last = ["", *between]
        if last.endswith(BREAKS):
            return place
        return place - len(last) if len(above) > 1 or before == 0 else None


def _span(marked: Any) -> tuple[int, int]:
    """Where an event or a token begins and ends."""
    return marked.start_mark.index, marked.end_mark.index
