from __future__ import annotations

import argparse
import string
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetchatd.client.errors import UsageError
from fleetchatd.connectors import registry
from fleetchatd.setup import flags

PLAIN = st.sampled_from(["string", "integer", "number", "boolean"])
NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=12).map(
    lambda name: "x" + name.strip("_")
)
PROPERTY: st.SearchStrategy[dict[str, Any]] = st.one_of(
    PLAIN.map(lambda kind: {"type": kind}),
    PLAIN.map(lambda kind: {"type": "array", "items": {"type": kind}}),
    st.just({"type": "object"}),
    st.just({"type": ["string", "null"]}),
    st.just({}),
)
SCHEMAS = st.dictionaries(NAMES, PROPERTY, max_size=6).map(lambda found: {"properties": found})
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "string": st.text(string.printable, min_size=1, max_size=9),
    "integer": st.integers(-(10**9), 10**9),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
}


def parse(schema: flags.Schema, words: list[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--yes", action="store_true")
    monkeypatch.setattr(registry, "settings_schema", lambda _: schema)
    flags.add_flags(parser, ["pigeon"])
    return flags.given(parser.parse_args(words), "pigeon", schema)


def test_the_kinds_that_are_shipped_have_the_flags_that_are_promised() -> None:
    found = {word for kind in registry.SHIPPED for word in flags.flags(schema_of(kind))}
    assert found >= {
        *("--homeserver-url", "--user-id", "--room-id", "--allowed-sender"),
        *("--channel-id", "--session", "--socket-name"),
    }


def test_a_flag_that_two_kinds_have_is_explained_for_both() -> None:
    parser = argparse.ArgumentParser()
    flags.add_flags(parser, ["discord", "matrix"])
    told = " ".join(parser.format_help().split())
    assert "discord, matrix: who may speak to the orchestrator; may be repeated" in told


def schema_of(kind: str) -> flags.Schema:
    return registry.settings_schema(kind)


@given(SCHEMAS)
def test_every_plain_setting_has_a_flag_of_its_own(schema: flags.Schema) -> None:
    found = flags.flags(schema)
    plain = {name for name, each in flags.properties(schema).items() if each != {"type": "object"}}
    assert set(found.values()) == plain
    assert all(word.startswith("--") and "_" not in word for word in found)


@given(SCHEMAS, st.data())
@settings(max_examples=60)
def test_what_is_typed_is_what_the_setting_gets(schema: flags.Schema, data: st.DataObject) -> None:
    words, wanted = [], {}
    for word, name in flags.flags(schema).items():
        each = schema["properties"][name]
        kind = each.get("items", each).get("type", "string")
        values = VALUES[kind if isinstance(kind, str) else kind[0]]
        several = data.draw(st.lists(values, min_size=1, max_size=3))
        chosen = several if flags.is_list(each) else several[:1]
        words += [f"{word}={typed(value)}" for value in chosen]
        wanted[name] = chosen if flags.is_list(each) else chosen[0]
    with pytest.MonkeyPatch.context() as patch:
        assert parse(schema, words, patch) == wanted


def typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_a_setting_never_takes_a_flag_away_from_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schema = {"properties": {"yes": {"type": "string"}, "no": {"type": "string"}}}
    assert parse(schema, ["--yes", "--no", "1"], monkeypatch) == {"no": "1"}


def test_a_list_keeps_its_plural_where_the_singular_is_another_setting() -> None:
    names: list[tuple[str, Any]] = [("items", "array"), ("item", "string")]
    schema = {"properties": {name: {"type": kind, "items": {}} for name, kind in names}}
    assert flags.flags(schema) == {"--items": "items", "--item": "item"}


@pytest.mark.parametrize("schema", [{}, {"properties": []}, {"properties": {"a": True, "-": {}}}])
def test_a_schema_of_any_shape_is_borne(schema: flags.Schema) -> None:
    assert flags.flags(schema) == {}
    assert flags.required({"required": ["a"], **schema}) == []


@given(st.text())
def test_a_number_that_is_none_stays_text_for_the_schema_to_refuse(text: str) -> None:
    value = flags.value({"type": "number"}, [text])
    assert value == text or isinstance(value, int | float)


def test_a_flag_of_another_kind_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    args = argparse.Namespace(**{"setting:--room-id": ["!a"], "setting:--echo": None})
    with pytest.raises(UsageError, match="cannot set up tmux with --room-id"):
        flags.given(args, "tmux", registry.settings_schema("tmux"))
