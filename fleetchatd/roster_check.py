"""What is wrong with a roster's values: schemas, unknown keys, secrets.

No text repeats a value, nor lets jsonschema do so: what stands in a wrong place may be a secret.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, Final, cast

import jsonschema
import referencing

from fleetchatd.connectors import registry
from fleetchatd.errors import FleetchatError
from fleetchatd.roster_text import Path, Problem, RosterText, dotted

SCHEMA: Final[Mapping[str, Any]] = json.loads(
    FilePath(__file__).with_name("roster.schema.json").read_text(encoding="utf-8")
)

_SECRET_WORDS = (
    "token",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "credential",
    "bearer",
    "authorization",
)
_SECRET_NAMES = ("pass", "pwd", "pw", "key", "auth", "jwt", "cookie")

_NO_SCHEMA = "cannot be checked: the plug-in's settings_schema is no JSON schema"

_JSON_TYPES = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


def check(text: RosterText) -> None:
    """Note every problem of the values in `text`; secrets are removed from them."""
    roster = text.values
    if not isinstance(roster, dict):
        text.problem((), "is not a mapping (a roster begins with `version: 1`)")
        return
    block = roster.get("connector")
    if isinstance(block, dict | list):
        _refuse_secrets(block, ("connector",), text)
    _check_schema(roster, SCHEMA, (), text)
    if isinstance(block, dict):
        _check_connector(block, text)


def doubts(text: RosterText) -> list[Problem]:
    """What is no error, for upstream may come to have it, and yet was probably meant otherwise."""
    return [
        Problem(text.line((key,)), dotted((key,)), "is not read (did you mean connector?)")
        for key in text.values
        if key != "connector"
        and difflib.get_close_matches(_plain(key)[:64], ["connector"], cutoff=0.8)
    ]


def _check_connector(block: Mapping[str, Any], text: RosterText) -> None:
    kind = block.get("kind")
    if isinstance(kind, str) and not registry.known(kind):
        kinds = registry.kinds()
        near = _nearest(kind, kinds)
        hint = f"did you mean {near}? " if near else ""
        text.problem(
            ("connector", "kind"), f"unknown kind ({hint}installed are: {', '.join(kinds)})"
        )
        kind = None
    # The selected kind's block is checked even where it is absent: keys may be missing from it.
    named = [name for name in block if name != "kind"]
    if isinstance(kind, str) and kind not in named:
        named.append(kind)
    for name in named:
        _check_block(name, block.get(name), text)


def _check_block(kind: str, settings: object, text: RosterText) -> None:
    path: Path = ("connector", kind)
    if not registry.known(kind):
        text.problem(path, _unknown_key(kind, ("kind", *registry.kinds())))
        return
    try:
        schema = registry.settings_schema(kind)
    except FleetchatError as error:
        text.problem(path, str(error))
        return
    if kind not in registry.SHIPPED and not _is_schema(schema):  # a test looks at ours
        text.problem(path, _NO_SCHEMA)
        return
    # `matrix:` with nothing below it is an empty block.
    _check_schema({} if settings is None else settings, schema, path, text)


def _refuse_secrets(block: Any, path: Path, text: RosterText) -> None:
    """Refuse secrets by their keys' names, and take them out before anything else looks."""
    if isinstance(block, list):
        for index, item in enumerate(block):
            _refuse_secrets(item, (*path, index), text)
    if not isinstance(block, dict):
        return
    for key in list(block):
        if names_secret(key):
            text.problem((*path, key), f"a secret must not stand in the roster ({_remedy(path)})")
            del block[key]
        else:
            _refuse_secrets(block[key], (*path, key), text)


def names_secret(key: str) -> bool:
    """Whatever its spelling: `accessToken`, `BOT-TOKEN`."""
    plain = _plain(key)
    return plain in _SECRET_NAMES or any(word in plain for word in _SECRET_WORDS)


def _remedy(path: Path) -> str:
    kind = str(path[1]) if len(path) > 1 else ""
    names = registry.secret_names(kind) if kind in registry.SHIPPED else ()
    where = " or ".join(f"${name.upper()} or a credential file {name}" for name in names)
    login = f"run `fleetchat login {kind}`, or " if names else ""
    return f"remove the line; {login}put it into {where or 'the environment or a credential file'}"


def _check_schema(
    instance: object, schema: Mapping[str, Any], path: Path, text: RosterText
) -> None:
    # An empty registry: a schema that refers to the network is an error, not a download.
    validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())
    try:
        errors = list(validator.iter_errors(instance))
    except (referencing.exceptions.Unresolvable, RecursionError):
        text.problem(path, _NO_SCHEMA)
        return
    found = dict.fromkeys(finding for error in errors for finding in _explain(error))
    for below, what in found:
        text.problem((*path, *below), what)


def _is_schema(schema: Mapping[str, Any]) -> bool:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except (jsonschema.SchemaError, RecursionError):
        return False
    return True


def _explain(error: jsonschema.ValidationError) -> Iterator[tuple[Path, str]]:
    """One of jsonschema's errors as (path, what), without any value of the roster."""
    here: Path = tuple(error.absolute_path)
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    properties = schema.get("properties", {})
    rule, instance = cast("Any", error.validator_value), cast("Any", error.instance)
    if error.validator == "required":
        for key in rule:
            if key not in instance:
                yield (*here, key), f"missing ({_expected(properties.get(key), 'add it')})"
    elif error.validator == "additionalProperties" and rule is False:
        patterns = schema.get("patternProperties", ())
        for key in instance:
            if key not in properties and not any(re.search(each, key) for each in patterns):
                yield (*here, key), _unknown_key(key, properties)
    else:
        yield here, _unexpected(error, schema)


def _unexpected(error: jsonschema.ValidationError, schema: Mapping[str, Any]) -> str:
    rule = cast("Any", error.validator_value)
    remedy = _expected(
        schema, f"its schema wants {error.validator}: {json.dumps(rule, default=str)}"
    )
    if error.validator != "type":
        return f"is not valid ({remedy})"
    if "string" in rule:  # a type's name, or a list of such
        if isinstance(error.instance, bool | int | float):
            remedy += "; quote it"
        elif error.instance is None:
            remedy += "; quote a value that begins with # or !"
    return f"is {_described(error.instance)} ({remedy})"


def _described(instance: object) -> str:
    return "empty" if instance is None else _JSON_TYPES.get(type(instance), "something else")


def _expected(schema: object, otherwise: str) -> str:
    title = schema.get("title") if isinstance(schema, Mapping) else None
    return f"give {title}" if isinstance(title, str) else otherwise


def _unknown_key(key: str, known: Iterable[str]) -> str:
    near = _nearest(key, known)
    if near:
        return f"unknown key (did you mean {near}?)"
    return f"unknown key (remove it; known are: {', '.join(known) or 'none'})"


def _nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant; `homeserverUrl` is as near as can be."""
    plain = {_plain(name): name for name in known}
    near = difflib.get_close_matches(_plain(word)[:64], list(plain), n=1, cutoff=0.6)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    """Without case, punctuation and width of letters."""
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKC", name).casefold())
