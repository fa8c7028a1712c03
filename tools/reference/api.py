"""The socket API, from its OpenAPI description and the nouns it shows; and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from fleetchatd import metrics
from fleetchatd.api.openapi import description
from fleetchatd.api.routes import ROUTES
from fleetchatd.api.schemas import SCHEMAS
from fleetchatd.model import (
    ConnectorEvent,
    ConnectorHealth,
    DeliveryEvent,
    EditEvent,
    Event,
    GapEvent,
    MessageEvent,
    ReactionEvent,
    RedactionEvent,
    State,
)
from tools.reference.tables import code, table

Schema = Mapping[str, Any]

SHOWN = ("Draft", "Message", "Health", "Subscribers")
"""The objects that have a table of fields; the others have a field or two."""

_TYPES = {"string": "text", "integer": "a whole number", "number": "a number", "null": "null"}
_TYPES |= {"boolean": "true or false"}
_ALWAYS = {"type", "time", "connector"}

_OK = ConnectorHealth("ok", reachable=True, authenticated=True, receiving=True)
_EVENTS: tuple[Event, ...] = (
    MessageEvent(time="", connector="", id="", sender="", sender_name="", text=""),
    EditEvent(time="", connector="", id="", sender="", target="", text=""),
    RedactionEvent(time="", connector="", id="", sender="", target=""),
    ReactionEvent(time="", connector="", id="", sender="", target="", key=""),
    DeliveryEvent(time="", connector="", state=State.DELIVERED, remote_id=None, error=None),
    ConnectorEvent(time="", connector="", health=_OK),
    GapEvent(time="", connector="", detail=""),
)


def regions() -> dict[str, Callable[[], str]]:
    """`api routes`, `api events`, `api OBJECT`, and `metrics`."""
    made: dict[str, Callable[[], str]] = {
        "api routes": _routes,
        "api events": _events,
        "metrics": _metrics,
    }
    return made | {f"api {name}": partial(_object, name) for name in SHOWN}


def _routes() -> str:
    paths = description(ROUTES)["paths"]
    operations = (
        (code(f"{method.upper()} {path}"), _operation(operation))
        for path, methods in paths.items()
        for method, operation in methods.items()
    )
    return table(("request", "does"), operations)


def _operation(operation: Schema) -> str:
    told = [operation["summary"]]
    for place, words in (("query", "Query"), ("header", "Header")):
        keys = [code(one["name"]) for one in operation["parameters"] if one["in"] == place]
        told += [f"{words}: {', '.join(keys)}."] if keys else []
    told.append(f"Answers {', '.join(sorted(operation['responses']))}.")
    return " ".join(told)


def _events() -> str:
    rows = ((code(one.type), _event(one)) for one in _EVENTS)
    return table(("`type`", "beside `seq`, `type`, `time` and `connector`"), rows)


def _event(event: Event) -> str:
    fields = ", ".join(code(name) for name in event.to_json() if name not in _ALWAYS)
    said = (type(event).__doc__ or "").partition("\n")[0].partition(".")[0]
    return f"{said}: {fields}"


def _object(name: str) -> str:
    return table(("field", "is"), _fields("", SCHEMAS[name]))


def _fields(place: str, schema: Schema) -> Iterable[tuple[str, str]]:
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        if "properties" in inner:
            yield from _fields(f"{place}{name}{'[]' if inner is not field else ''}.", inner)
        else:
            optional = "" if name in schema["required"] else ", optional"
            yield code(f"{place}{name}"), _kind_of(field) + optional


def _kind_of(field: Schema) -> str:
    if "enum" in field:
        return ", ".join(code(str(one)) if one else "null" for one in field["enum"])
    if field["type"] == "array":
        return f"a list, each {_kind_of(field['items'])}"
    types = [field["type"]] if isinstance(field["type"], str) else field["type"]
    return " or ".join(_TYPES[one] for one in types)


def _metrics() -> str:
    families = (
        (code(family.name + ("_total" if family.type == "counter" else "")), family)
        for family in metrics._families(_numbers())
    )
    rows = (
        (name, f"{one.documentation} ({', '.join([one.type, *_labels(one)])})")
        for name, one in families
    )
    return table(("metric", "is"), rows)


def _labels(family: Any) -> list[str]:
    return [f"by {code(name)}" for name in getattr(family, "_labelnames", ())]


def _numbers() -> metrics.Numbers:
    health: dict[str, Any] = {
        "status": "ok",
        "uptime_s": 0.0,
        "connector": dict.fromkeys(("reachable", "authenticated", "receiving"), True)
        | {"last_receive_age_s": None},
        "outbox": {"queued": 0, "waiting": 0, "oldest_age_s": None, "failed": 0},
        "journal": {"last_seq": 0, "size_bytes": 0},
        "subscribers": [],
    }
    return metrics.Numbers(health, {}, {}, {})
