"""YAML text -> plain values that remember their lines.

YAML 1.2's core schema, as upstream's tools read it: `yes`, `on`, dates and `12:30` are text.
Every text made here names a place and never repeats what stands there, for it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]

LARGEST_BYTES = 2 * 1024 * 1024
DEEPEST = 32
MOST_VALUES = 200_000
"""Values a roster may have once its aliases are resolved: far above any fleet, far below a bomb."""

_TAG = "tag:yaml.org,2002:"
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the C parser where PyYAML has it
    """Resolves plain scalars by YAML 1.2's core schema (§10.3.2), and merge keys."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own attribute


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), _first)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to mend: where, and what with its remedy."""

    line: int
    key: str
    what: str

    def text(self, file: str) -> str:
        """`file:line: key: what`, as contract §2 has it."""
        return ": ".join(part for part in (f"{file}:{self.line}", self.key, self.what) if part)


@dataclass(slots=True)
class RosterText:
    """A roster's values.

    Attributes:
        values: mappings, lists and scalars; every key is text.
        lines: the line of every key and list item, by its path.
        problems: what is wrong with the text itself.
    """

    values: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _faulty: set[tuple[int, Path]] = field(default_factory=set)

    def problem(self, path: Path, what: str) -> None:
        """Note a problem at `path`; of several at one place, the first says it all."""
        problem = Problem(self.line(path), dotted(path), what)
        if (problem.line, path) not in self._faulty:
            self._faulty.add((problem.line, path))
            self.problems.append(problem)

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest place above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def dotted(path: Path) -> str:
    """`connector.matrix.room_id`; keys that nobody would choose are not repeated.

    A secret may have slipped into a key (`token=…`), and a terminal must not be driven.
    """
    return ".".join(str(step) if _printable(str(step)) else "(an odd key)" for step in path)


def _printable(step: str) -> bool:
    return re.fullmatch(r"[\w.-]{1,40}", step) is not None


def read_text(raw: bytes) -> RosterText:
    """Parse a roster, noting every problem instead of raising."""
    text = RosterText()
    if len(raw) > LARGEST_BYTES:
        text.problem(
            (), f"is larger than {LARGEST_BYTES} bytes (see whether it is a roster; shorten it)"
        )
        return text
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        text.problems.append(Problem(line, "", "is not UTF-8 (save the file as UTF-8)"))
        return text
    _parse(decoded, text)
    return text


def _parse(decoded: str, text: RosterText) -> None:
    try:
        _refuse_depth(decoded)
        node = yaml.compose(decoded, Loader=_Loader)
        if node is None:
            text.problem((), "is empty (remove it, and `fleetchat init` writes one)")
        else:
            text.values = _Reader(text).value(node, ())
    except _Refused as error:
        text.problems.append(Problem(error.line, "", str(error)))
    except yaml.MarkedYAMLError as error:
        text.problems.append(_not_yaml(error))
    except yaml.reader.ReaderError as error:
        line = decoded.encode().count(b"\n", 0, error.position) + 1
        text.problems.append(Problem(line, "", "has a control character (remove it)"))
    # What PyYAML's own Python parser lets through: `\U00110000`, or nesting without end.
    except (ValueError, RecursionError):
        what = "it has an impossible escape or nests too deeply"
        text.problem((), f"is not YAML: {what} (write the character itself; nest less)")


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def _refuse_depth(decoded: str) -> None:
    """Refuse deep nesting before composing, which recurses (in C, without a limit)."""
    depth = 0
    for event in yaml.parse(decoded, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise _Refused(line, f"nests deeper than {DEEPEST} levels (nest less)")


def _not_yaml(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    # PyYAML's own parser quotes what it stumbled over; that may be the secret.
    what = re.sub(r"'[^']{3,}'", "this", error.problem or error.context or "cannot be parsed")
    remedy = "mend that line or those above: indentation, quotes, brackets"
    if "cannot start any token" in what:
        remedy = "indent with spaces, not tabs; quote a value that begins with @, ` or %"
    elif "mapping values are not allowed" in what:
        remedy = "quote a value that has ': ' in it; check the indentation"
    elif "another document" in what:
        remedy = "a roster is a single document: remove the ---"
    elif "undefined alias" in what:
        remedy = "name an anchor that stands above it; quote a value that begins with *"
    line = mark.line + 1 if mark is not None else 1
    return Problem(line, "", f"is not YAML: {what} ({remedy})")


class _Reader:
    """Turns nodes into values, resolving aliases and merge keys within bounds."""

    def __init__(self, text: RosterText) -> None:
        self._text = text
        self._count = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        """The node's value; whatever is wrong with it becomes a problem."""
        self._bounded(node, len(path))
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return self._sequence(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._text.problem(path, "has a YAML tag that a roster has no use for (remove it)")
        return None

    def _bounded(self, node: yaml.Node, depth: int) -> None:
        self._count += 1
        line = node.start_mark.line + 1
        if self._count > MOST_VALUES:
            raise _Refused(line, f"has more than {MOST_VALUES} values (use fewer aliases)")
        # Text cannot nest so deeply any more, but an alias within its own anchor never ends.
        if depth > 2 * DEEPEST:
            raise _Refused(line, "nests without end (remove the alias that contains itself)")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        seen: dict[str, int] = {}
        values: dict[str, Any] = {}
        for key, child, merged in self._entries(node, path, 0):
            line = key.start_mark.line + 1
            here = (*path, key.value)
            self._bounded(child, len(path))
            if key.value in seen:
                # What is merged gives way to what stands here.
                if not merged:
                    what = f"is there twice, first in line {seen[key.value]} (remove one)"
                    self._text.problems.append(Problem(line, dotted(here), what))
                continue
            seen[key.value] = line
            self._text.lines[here] = line
            values[key.value] = self.value(child, here)
        return values

    def _entries(
        self, node: yaml.MappingNode, path: Path, depth: int
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node, bool]]:
        """The mapping's own entries, then those merged into it."""
        self._bounded(node, len(path) + depth)
        merges = []
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._text.problem(path, "has a key that is not text (quote it, or remove it)")
            elif key.tag == _TAG + "merge":
                merges.append(child)
            else:
                yield key, child, depth > 0
        for child in merges:
            sources = child.value if isinstance(child, yaml.SequenceNode) else [child]
            for source in sources:
                if isinstance(source, yaml.MappingNode):
                    yield from self._entries(source, path, depth + 1)
                else:
                    what = "merges (<<) something that is not a mapping"
                    self._text.problem(path, f"{what} (name the anchor of one)")

    def _sequence(self, node: yaml.SequenceNode, path: Path) -> list[Any]:
        values = []
        for index, child in enumerate(node.value):
            here = (*path, index)
            self._text.lines[here] = child.start_mark.line + 1
            values.append(self.value(child, here))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> str | bool | int | float | None:
        kind = node.tag.removeprefix(_TAG)
        try:
            if kind in ("str", "merge"):
                return str(node.value)
            if kind == "null":
                return None
            if kind == "bool":
                return {"true": True, "false": False}[node.value.lower()]
            if kind == "int":
                return _integer(node.value)
            if kind == "float":
                return float(re.sub(r"\.(?=[in])", "", node.value.lower()))
        except (KeyError, ValueError):
            what = "is not what its YAML tag says, or a number too long to read"
            self._text.problem(path, f"{what} (quote it)")
            return None
        self._text.problem(
            path, "has a YAML tag that a roster has no use for (quote a value that begins with !)"
        )
        return None


def _integer(value: str) -> int:
    return int(value, 0) if value.lower().startswith(("0o", "0x")) else int(value)
