"""What comes from a chat, before it is trusted: whatever it is, the answer is sound or empty."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson

_NOTHING: Mapping[Any, Any] = MappingProxyType({})
# What moves a terminal's cursor, breaks a line or turns the direction of what follows.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def json_of(raw: bytes | str) -> Any:
    """What JSON says; also where it has half a surrogate pair, for which `text_of` is.

    Raises:
        ValueError: it is none.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:  # which refuses such a half, and with it all around it
        try:
            return json.loads(raw)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def text_of(value: object) -> str:
    """`value` if it is a string, fit to be written as JSON; else the empty string."""
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: UTF-8 has no such thing
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def one_line(value: object, longest: int = 200) -> str:
    """What others wrote, on one line and not too long for a sentence of ours."""
    line = " ".join(_CONTROLS.sub(" ", text_of(value)[: 2 * longest]).split())
    return line if len(line) <= longest else f"{line[:longest]}…"


def clause(value: object, longest: int = 200) -> str:
    """The same for a sentence that may end in `; REMEDY`: what to do is never in their words."""
    return one_line(value, longest).replace(";", ",")


def mapping_of(value: object) -> Mapping[Any, Any]:
    """`value` if it is an object of JSON; else an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def list_of(value: object) -> Sequence[Any]:
    """`value` if it is a list of JSON; else an empty one."""
    return value if isinstance(value, list) else ()
