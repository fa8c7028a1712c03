"""What comes over the socket is refused in the right way, or is what it seems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fleetchatd.api.messages import parse_draft
from fleetchatd.api.openapi import description
from fleetchatd.api.problems import RequestError
from fleetchatd.api.query import NAME_PATTERN, subscriber_name
from fleetchatd.api.routes import ROUTES
from fleetchatd.api.schemas import SCHEMAS
from fleetchatd.api.service import parse_json
from fleetchatd.api.subscribers import parse_seq

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("text", "thread_id", "reply_to", "format", "notice", "expires_s")
NEARLY = st.fixed_dictionaries(
    {"text": st.text() | ANYTHING},
    optional={name: ANYTHING | st.sampled_from(["plain", "x", True, 5]) for name in FIELDS[1:]},
)
DRAFT = Draft202012Validator(SCHEMAS["Draft"])


def outcome(parse: Callable[[Any], Any], value: Any) -> Any:
    """What came of it, a refusal included; any other error is a bug."""
    try:
        return parse(value)
    except RequestError as refusal:
        return refusal


@given(st.binary())
def test_bytes_are_json_or_a_400(raw: bytes) -> None:
    found = outcome(parse_json, raw)
    if isinstance(found, RequestError):
        assert (found.status, found.kind) == (400, "not-json")


@given(ANYTHING | NEARLY)
def test_a_draft_is_accepted_or_refused_as_its_schema_says(body: Any) -> None:
    draft = outcome(parse_draft, body)
    if not isinstance(draft, RequestError):
        assert DRAFT.is_valid(body)
        assert draft.text == body["text"]
        assert draft.format == (body.get("format") or "markdown")
        return
    assert draft.status == 422
    # What a schema cannot say: lone surrogates, and all that counts as blank.
    if draft.kind not in ("lone-surrogate", "empty-text"):
        assert not DRAFT.is_valid(body)


@given(ANYTHING | st.fixed_dictionaries({"seq": ANYTHING}))
def test_a_seq_is_a_whole_number_or_a_422(body: Any) -> None:
    seq = outcome(parse_seq, body)
    if isinstance(seq, RequestError):
        assert (seq.status, seq.kind) == (422, "bad-field")
        return
    assert type(seq) is int
    assert seq == body["seq"] >= 0


@given(st.text(max_size=70) | st.from_regex(NAME_PATTERN))
def test_a_name_is_kept_as_it_is_or_refused(name: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
    if 1 <= len(name) <= 64 and set(name) <= allowed:
        assert subscriber_name(name) == name
        return
    with pytest.raises(RequestError) as refused:
        subscriber_name(name)
    assert (refused.value.status, refused.value.kind) == (400, "bad-name")


def test_the_description_describes_every_route_once() -> None:
    paths = description(ROUTES)["paths"]
    described = {(method.upper(), path) for path, item in paths.items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES}
    names = [operation["operationId"] for item in paths.values() for operation in item.values()]
    assert len(set(names)) == len(ROUTES)


def test_every_schema_is_one_and_is_used() -> None:
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
    named = {route.body for route in ROUTES} | {
        name for route in ROUTES for name in route.answers.values()
    }
    assert named - {None, ""} <= {*SCHEMAS, *(name for name in named if name and "/" in name)}
