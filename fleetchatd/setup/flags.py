"""A kind's settings as flags, made from its schema: `homeserver_url` becomes `--homeserver-url`.

A list becomes a flag that may be repeated, in the singular: `allowed_senders`, `--allowed-sender`.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from fleetchatd.client.errors import UsageError
from fleetchatd.connectors import registry
from fleetchatd.errors import FleetchatError

Schema = Mapping[str, Any]

_PLAIN = ("string", "integer", "number", "boolean")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def properties(schema: Schema) -> dict[str, Schema]:
    """The settings that a kind's schema names, with their schemas."""
    found = schema.get("properties")
    if not isinstance(found, Mapping):
        return {}
    return {str(name): each for name, each in found.items() if isinstance(each, Mapping)}


def required(schema: Schema) -> list[str]:
    """The settings that must be there, in the schema's order."""
    wanted = schema.get("required", ())
    return [name for name in wanted if name in properties(schema)]


def is_list(schema: Schema) -> bool:
    """Whether a setting has several values."""
    return _type(schema) == "array"


def flags(schema: Schema) -> dict[str, str]:
    """Flag -> the setting of the kind that it gives; what is no plain value has none."""
    known = properties(schema)
    found: dict[str, str] = {}
    for name, each in known.items():
        if _NAME.fullmatch(name) and _plain_type(each) is not None:
            short = name.removesuffix("s") if is_list(each) else name
            word = name if short != name and (short in known or not short) else short
            found.setdefault("--" + word.replace("_", "-"), name)
    return found


def flag(schema: Schema, name: str) -> str:
    """The flag that gives a setting, for people; its name in the roster where it has none."""
    return next((word for word, setting in flags(schema).items() if setting == name), name)


def add_flags(
    parser: argparse.ArgumentParser, kinds: Iterable[str], *, leave_out_lists: bool = False
) -> None:
    """Give a command the flags of these kinds; a word that it uses itself stays its own."""
    group = parser.add_argument_group("settings")
    for word, (schema, having) in _all_flags(kinds).items():
        if leave_out_lists and is_list(schema):
            continue
        with suppress(argparse.ArgumentError):
            group.add_argument(
                word,
                action="append",
                dest=_destination(word),
                metavar=re.split(r"[-_]", word)[-1].upper(),
                help=f"{', '.join(having)}: {_help(schema)}".replace("%", "%%"),
            )


def given(args: argparse.Namespace, kind: str, schema: Schema) -> dict[str, Any]:
    """The settings that the command line gives, not yet checked against the schema.

    Raises:
        UsageError: a flag that the kind does not have, or that can be given only once.
    """
    words = {
        destination.removeprefix(_PREFIX): values
        for destination, values in vars(args).items()
        if destination.startswith(_PREFIX) and values is not None
    }
    own = flags(schema)
    foreign = sorted(set(words) - set(own))
    if foreign:
        raise UsageError(
            f"cannot set up {kind} with {', '.join(foreign)}: it has no such setting; leave it"
            f" out, or name the kind that has it"
        )
    return {own[word]: _given(word, values, schema, own[word]) for word, values in words.items()}


def value(schema: Schema, words: Sequence[str]) -> Any:
    """What a person typed as the value that it means; what cannot be that stays text."""
    convert = _CONVERSIONS.get(_plain_type(schema) or "", str)
    if is_list(schema):
        return [convert(word) for word in words]
    return convert(words[-1])


def settings_schema(kind: str) -> Schema | None:
    """The kind's schema; None where the plug-in that has it cannot be loaded."""
    try:
        return registry.settings_schema(kind)
    except FleetchatError:
        return None


_PREFIX = "setting:"


def _destination(word: str) -> str:
    # With a colon, so that no setting (`command`, say) hides a command's own arguments.
    return _PREFIX + word


def _all_flags(kinds: Iterable[str]) -> dict[str, tuple[Schema, list[str]]]:
    """Flag -> the schema of its setting, of the first kind that has it, and all that have it."""
    found: dict[str, tuple[Schema, list[str]]] = {}
    for kind in kinds:
        schema = settings_schema(kind) or {}
        for word, name in flags(schema).items():
            found.setdefault(word, (properties(schema)[name], []))[1].append(kind)
    return found


def _help(schema: Schema) -> str:
    """How a value is written; of a list, of which one is given at a time, what it is for."""
    if not is_list(schema):
        return str(schema.get("title", ""))
    purpose = str(schema.get("description", "")).partition(".")[0]
    return f"{purpose[:1].lower()}{purpose[1:]}; may be repeated".removeprefix("; ")


def _given(word: str, words: Sequence[str], schema: Schema, name: str) -> Any:
    setting = properties(schema)[name]
    if len(words) > 1 and not is_list(setting):
        raise UsageError(f"cannot use {word} twice: {name} has one value; give it once")
    return value(setting, words)


def _type(schema: Schema) -> str | None:
    """The schema's type; of several, the one that a person can type."""
    wanted = schema.get("type", "string")
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    return next((name for name in (*_PLAIN, "array") if name in names), None)


def _plain_type(schema: Schema) -> str | None:
    """The type of a plain setting, or of a list's items."""
    found = _type(schema)
    if found == "array":
        items = schema.get("items")
        found = _type(items) if isinstance(items, Mapping) else None
    return found if found in _PLAIN else None


def _integer(word: str) -> int | str:
    return int(word) if re.fullmatch(r"[-+]?[0-9]{1,18}", word) else word


def _number(word: str) -> float | str:
    with suppress(ValueError):
        number = float(word)
        if math.isfinite(number):
            return _integer(word) if isinstance(_integer(word), int) else number
    return word


_CONVERSIONS: Mapping[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": lambda word: {"true": True, "false": False}.get(word.lower(), word),
}
