"""The fields of a roster, and of each kind's block in it, from their JSON schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.resources import files
from typing import Any

from fleetchatd.connectors import registry
from tools.reference.tables import code, table

Schema = Mapping[str, Any]


def regions() -> dict[str, Callable[[], str]]:
    """`roster`, and `connector KIND` for each kind that is shipped."""
    schema = json.loads((files("fleetchatd") / "roster.schema.json").read_text())
    made: dict[str, Callable[[], str]] = {"roster": partial(_fields, ("field", "is"), schema)}
    for kind in registry.SHIPPED:
        made[f"connector {kind}"] = partial(_kind, kind)
    return made


def _kind(kind: str) -> str:
    schema = registry.settings_schema(kind)
    secrets = registry.secret_names(kind)
    rows = _fields(("key", "means"), schema)
    names = " and ".join(f"`{name}` (`${name.upper()}`)" for name in secrets)
    return f"{rows}\n{'Its secret: ' + names if secrets else 'It has no secret'}.\n"


def _fields(head: tuple[str, str], schema: Schema) -> str:
    return table(head, _rows("", schema, schema.get("$defs", {})))


def _rows(place: str, schema: Schema, known: Schema) -> Iterable[tuple[str, str]]:
    for name, field in schema["properties"].items():
        whole = known[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
        path = f"{place}{name}"
        if "properties" in whole:
            yield from _rows(f"{path}.", whole, known)
        elif "properties" in whole.get("items", {}):
            yield from _rows(f"{path}[].", whole["items"], known)
        else:
            yield code(path), _meaning(whole, required=name in schema.get("required", ()))


def _meaning(field: Schema, *, required: bool) -> str:
    told = [field["description"]] if "description" in field else []
    title = f"`{field['const']}`" if "const" in field else field["title"]
    told.append(f"{title[0].upper()}{title[1:]}.")
    if "default" in field:
        told.append(f"Default: `{json.dumps(field['default'])}`.")
    return ("Required. " if required else "") + " ".join(told)
