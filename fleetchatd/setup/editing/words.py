"""Values as YAML text, written by ruamel.yaml."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

_QUOTED: Final = {"'": SingleQuotedScalarString, '"': DoubleQuotedScalarString}


def exactly(value: object) -> str:
    """A text that is the same for the same values, whatever the order of their keys.

    Python takes `1`, `1.0` and `true` for equal, which a roster's reader must not.
    """
    return json.dumps(value, sort_keys=True)


def inline(value: object, style: str | None = None) -> str:
    """`value` on one line: a scalar, or a collection in brackets.

    Args:
        value: what the roster shall say.
        style: the quotes of the text that it takes the place of, or stands among; with `"` a
            collection is JSON.
    """
    if style == '"' and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return _dump(_quoted(value, None))
    # Within brackets even where it will not stand so: what is safe there is safe everywhere.
    return _dump([_quoted(value, style)])[1:-1]


def block(entries: Mapping[str, Any], column: int, step: int) -> Iterator[str]:
    """`entries` as the lines of a block mapping at `column`, without line breaks.

    Args:
        entries: what the roster shall say.
        column: their indentation, in characters.
        step: by how much more those of a mapping within are indented.
    """
    for key, value in entries.items():
        if isinstance(value, Mapping) and value:
            yield f"{' ' * column}{inline(key)}:"
            yield from block(value, column + step, step)
        else:
            yield f"{' ' * column}{inline(key)}: {inline(value)}"


def _quoted(value: object, style: str | None) -> object:
    """`value` with its texts in quotes where they need them."""
    if isinstance(value, Mapping):
        return {_quoted(key, None): _quoted(item, None) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted(item, None) for item in value]
    if not isinstance(value, str):
        return value
    styles = [_QUOTED[style]] if style in _QUOTED else [str, SingleQuotedScalarString]
    texts = (quotes(value) for quotes in styles)
    return next(filter(_is_clear, texts), DoubleQuotedScalarString(value))


def _is_clear(text: str) -> bool:
    """Whether other tools, too, read this as it is meant: for YAML 1.1 `yes` and `12:30` are not.

    It also catches what ruamel.yaml leaves plain and no parser takes, such as `? x`.
    """
    try:
        return bool(yaml.safe_load(_dump([text])) == [text])
    except (yaml.YAMLError, ValueError):
        return False


def _dump(value: object) -> str:
    stream = io.StringIO()
    writer = YAML(typ="rt", pure=True)
    writer.default_flow_style = True
    writer.width = 2**31
    writer.dump(value, stream)
    return stream.getvalue().strip()
