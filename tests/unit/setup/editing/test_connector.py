from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetchatd.errors import ConfigError
from fleetchatd.roster import parse_roster
from fleetchatd.roster_text import read_text
from fleetchatd.setup.editing.connector import with_connector

HEAD = "version: 1\ntransport: tmux\nagents: [{name: mos, runtime: claude}]\n"
TMUX = {"session": "operator"}
MATRIX = {"homeserver_url": "https://m.example.org", "user_id": "@mos:x", "room_id": "!abc"}
DISCORD = {"channel_id": "123"}
BLOCK = """\
connector:
  kind: matrix
  matrix:
    homeserver_url: https://m.example.org
    user_id: '@mos:x'
    room_id: '!abc'
"""


def edited(text: str, kind: str = "matrix", settings: Mapping[str, Any] = MATRIX) -> str:
    """The edited text without HEAD, once it is clear that it says what it should."""
    raw = text.encode()
    new = with_connector(raw, kind, settings)
    before, after = read_text(raw).values, read_text(new).values
    connector = after.pop("connector")
    was = before.pop("connector", None) or {}
    assert after == before
    assert connector["kind"] == kind
    assert (connector.get(kind) or {}).items() >= settings.items()
    others = {key: value for key, value in was.items() if key not in ("kind", kind)}
    assert {key: connector[key] for key in others} == others
    assert with_connector(new, kind, settings) == new, "the second time, nothing changes"
    return new.decode().removeprefix(HEAD)


def refusal(text: str, kind: str = "matrix", settings: Mapping[str, Any] = MATRIX) -> str:
    with pytest.raises(ConfigError, match=r"^cannot edit the roster: ") as error:
        with_connector(text.encode(), kind, settings)
    return str(error.value)


def test_a_roster_that_is_json_stays_so() -> None:
    values = {
        "version": 1,
        "transport": "tmux",
        "agents": [{"name": "mos", "runtime": "claude"}],
        "connector": {"kind": "tmux", "matrix": {"room_id": None, "allowed_senders": ["@a:x"]}},
    }
    wanted = MATRIX | {"allowed_senders": ["@a:x", "@b:x"]}
    for connector in ({}, values["connector"], {"matrix": {}}, {"matrix": None}):
        for indent in (None, 2):
            text = json.dumps(values | {"connector": connector}, indent=indent)
            assert json.loads(edited(text, "matrix", wanted))["connector"]["matrix"] == wanted


# A roster without the block, or without anything in it


def test_a_new_roster_has_one_orchestrator_and_loads() -> None:
    for kind, own in (("tmux", {}), ("tmux", TMUX), ("matrix", MATRIX), ("discord", DISCORD)):
        roster = parse_roster(with_connector(None, kind, own), "roster.yaml")
        assert (roster.connector_kind, roster.connector_settings) == (kind, own)
        assert [(agent.name, agent.agent_class) for agent in roster.agents] == [
            ("orchestrator", "orchestrator")
        ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEAD, f"{HEAD}\n{BLOCK}"),
        (HEAD.rstrip(), f"{HEAD}\n{BLOCK.rstrip()}"),
        (f"{HEAD}# end", f"{HEAD}# end\n\n{BLOCK.rstrip()}"),
        (f"{HEAD}\n\n", f"{HEAD}\n\n{BLOCK}"),
        (f"\ufeff---\n{HEAD}...\n# end\n", f"\ufeff---\n{HEAD}\n{BLOCK}...\n# end\n"),
        (f"{HEAD}x: |+\n  t\n\n\n", f"{HEAD}x: |+\n  t\n\n\n{BLOCK}"),
        # A line break behind a text that has none would make another text of it.
        (f"{HEAD}x: |\n  t", f"{HEAD}{BLOCK}x: |\n  t"),
        (HEAD.replace("\n", "\r\n"), f"{HEAD}\n{BLOCK}".replace("\n", "\r\n")),
        (f"{HEAD}a: 1\r\n", f"{HEAD}a: 1\r\n\r\n" + BLOCK.replace("\n", "\r\n")),
        (f"{HEAD}connector:", HEAD + BLOCK.rstrip()),
        (f"{HEAD}connector: ~\nz: 1\n", f"{HEAD}{BLOCK}z: 1\n"),
        (
            f"{HEAD}'connector': null # c\n  # in\n\n# out\n",
            HEAD + BLOCK.replace("connector:", "'connector': # c\n  # in") + "\n# out\n",
        ),
    ],
)
def test_a_missing_block_is_added_and_everything_else_stays(before: str, after: str) -> None:
    assert HEAD + edited(before).removeprefix(HEAD) == HEAD + after.removeprefix(HEAD)


# Within the block


def test_values_are_replaced_in_place_and_every_comment_stays() -> None:
    before = """\
connector: # the chat
    'kind' :  discord   # now
# at column 0
    # within
    "matrix":
          homeserver_url: https://old   # h
          user_id:
            '@old:x'  # u

          # the room
          room_id: "!old" # r
          # more could stand here
    discord: {channel_id:\t'1'}  # d

    # the end

# out
z: 1
"""
    after = edited(HEAD + before, settings={**MATRIX, "allowed_senders": ["@ann:x", "yes", "1"]})
    assert (
        after
        == """\
connector: # the chat
    'kind' :  matrix   # now
# at column 0
    # within
    "matrix":
          homeserver_url: https://m.example.org   # h
          user_id:
            '@mos:x'  # u

          # the room
          room_id: "!abc" # r
          # more could stand here
          allowed_senders: ['@ann:x', 'yes', '1']
    discord: {channel_id:\t'1'}  # d

    # the end

# out
z: 1
"""
    )


def test_another_kinds_block_keeps_the_comments_below_it() -> None:
    block = "  discord:\n    channel_id: '1'\n    # api_url: https://x\n  # so far\n"
    own = BLOCK.removeprefix("connector:\n  kind: matrix\n")
    after = edited(f"{HEAD}connector:\n  kind: discord\n{block}# out\n  # odd\nz: 1\n")
    assert after == f"connector:\n  kind: matrix\n{block}{own}# out\n  # odd\nz: 1\n"


def test_a_text_in_lines_at_the_blocks_end_keeps_its_blank_lines() -> None:
    end = "  tmux:\n    command:\n    - cat\n    - |+\n      x\n\n\n"
    own = BLOCK.removeprefix("connector:\n  kind: matrix\n")
    after = edited(f"{HEAD}connector:\n  kind: tmux\n{end}# out\n")
    assert after == f"connector:\n  kind: matrix\n{own}{end}# out\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("connector: {kind: discord} # c\nz: 1\n", "connector: {{kind: tmux, {}}} # c\nz: 1\n"),
        (
            "connector: {\n  kind: discord, # c\n# 0\n}\n",
            "connector: {{\n  kind: tmux, {}, # c\n# 0\n}}\n",
        ),
        ("connector: {}\n", "connector: {{kind: tmux, {}}}\n"),
        ("connector: {kind: , }\n", "connector: {{kind:  tmux, {}, }}\n"),
        (
            "connector: {'kind':'matrix','tmux': ~}\n",
            "connector: {{'kind':'tmux','tmux': {{session: operator}}}}\n",
        ),
    ],
)
def test_braces_stay_braces(before: str, after: str) -> None:
    text = edited(HEAD + before, "tmux", TMUX)
    assert text == after.format("tmux: {session: operator}")


def test_a_roster_may_be_all_braces() -> None:
    text = "{version: 1, transport: tmux, agents: [{name: a, runtime: b}]}"
    own = "connector: {kind: tmux, tmux: {session: operator}}"
    assert edited(text, "tmux", TMUX) == f"{text[:-1]}, {own}}}"


LISTS = [
    (" ['@a:x', '@b:x', '@c:x']", ["@c:x"], " ['@c:x']"),
    (" ['@a:x', '@b:x', '@c:x']", ["@a:x"], " ['@a:x']"),
    (" ['@a:x', '@b:x',]", ["@0:x", "@a:x", "@1:x"], " ['@0:x', '@a:x', '@1:x',]"),
    (" []", ["@a:x"], " ['@a:x']"),
    (" ['@a:x']", [], " []"),
    (" [ # who\n '@a:x', # a\n '@b:x' # b\n ]", ["@a:x"], " [ # who\n '@a:x' # a\n # b\n ]"),
    (" [ # who\n '@a:x', # a\n '@b:x',\n ]", ["@b:x"], " [ # who\n # a\n '@b:x',\n ]"),
    (" # who\n - '@a:x' # a\n# 0\n - \"@b:x\"", ["@c:x"], " # who\n - '@c:x' # a\n# 0"),
    ("\n - '@a:x'\n - '@b:x' # b\n - '@c:x'", ["@c:x"], "\n # b\n - '@c:x'"),
    ("\n - '@b:x' # b", ["@a:x", "@b:x", "@c:x"], "\n - '@a:x'\n - '@b:x' # b\n - '@c:x'"),
    (" # who\n - '@a:x'\n - '@b:x'", [], " [] # who"),
]


@pytest.mark.parametrize(("old", "new", "after"), LISTS)
@pytest.mark.parametrize("indent", ["    ", "      "])
@pytest.mark.parametrize("end", ["\n", "\n    room_id: '!abc'\n"])
def test_a_list_changes_item_by_item_and_keeps_its_comments(
    old: str, new: Sequence[str], after: str, indent: str, end: str
) -> None:
    head = "connector:\n  kind: matrix\n  matrix:\n    allowed_senders:"
    before, expected = (head + words.replace("\n ", f"\n{indent}") + end for words in (old, after))
    assert edited(HEAD + before, settings={"allowed_senders": new}) == expected


# What YAML has beside plain values


def test_what_is_defined_elsewhere_is_written_out_and_its_source_stays() -> None:
    head = "a: &a {kind: tmux, matrix: &m {room_id: x, allowed_senders: ['@a:x']}}\n"
    for block in (
        "connector: *a # c\nb: *a\n",
        "connector:\n  <<: *a # c\nb: *a\n",
        "connector: {<<: *a}\nb: *a\n",
        "connector:\n  kind: &k tmux\n  discord: {channel_id: '1'}\n  matrix: *m # c\n",
    ):
        after = read_text(with_connector((head + HEAD + block).encode(), "matrix", MATRIX)).values
        assert after["connector"]["matrix"] == {**MATRIX, "allowed_senders": ["@a:x"]}
        assert after["a"] == {
            "kind": "tmux",
            "matrix": {"room_id": "x", "allowed_senders": ["@a:x"]},
        }
        assert "# c" not in block or "# c" in edited(head + HEAD + block)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("*people # c", "['@a:x', '@c:x'] # c"),
        ("\n    - *ann # c\n    - &b '@b:x'", "\n    - *ann # c\n    - &b '@c:x'"),
        ("[*ann , '@b:x', '@c:x']", "[*ann , '@c:x']"),
    ],
)
def test_an_alias_stays_where_what_it_says_stays(before: str, after: str) -> None:
    head = "people: &people [&ann '@a:x']\n" + HEAD + "connector:\n  kind: matrix\n  matrix:\n"
    text, expected = (f"{head}    allowed_senders: {words}\n" for words in (before, after))
    assert edited(text, settings={"allowed_senders": ["@a:x", "@c:x"]}) == expected


def test_an_anchor_outlives_the_value_that_is_replaced_behind_it() -> None:
    text = f"{HEAD}connector: &c # c\n  kind: &k !!str tmux # k\n  matrix: &m\nz: [*m]\n"
    assert edited(text, "memory", {}) == (
        "connector: &c # c\n  kind: &k memory # k\n  matrix: &m\nz: [*m]\n"
    )


@pytest.mark.parametrize(
    "block",
    [
        "connector: &c\n  kind: tmux\nz: *c\n",
        "connector:\n  kind: &k tmux\nz: *k\n",
        "connector:\n  kind: tmux\n  matrix: &m\n    room_id: x\n  discord: *m\n",
        "connector:\n  kind: tmux\n  matrix:\n    room_id: | # words\n      x\n",
        "connector:\n  kind: matrix\n  matrix:\n    room_id:\n    - a\n    # b\n    - c\n",
    ],
)
def test_what_cannot_be_edited_without_damage_is_refused_with_the_block_to_write(
    block: str,
) -> None:
    text = refusal(HEAD + block)
    assert re.search(
        r": (a comment stands|the new text would not) .*; put this into it by hand:\n", text
    )
    assert text.endswith("\n" + BLOCK.rstrip())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{HEAD}connector:\n  kind: a\n  kind: b\n", "roster:6: connector.kind: is there twice"),
        (f"{HEAD}connector:\n\tkind: tmux\n", "roster:5: is not YAML: "),
        (f"{HEAD}---\n{HEAD}", "roster:4: is not YAML: "),
        ("# nothing\n", "roster:1: is empty"),
        (f"{HEAD}connector: tmux\n", "what stands at connector is not a mapping; put this"),
        (f"{HEAD}connector: {{matrix: [x]}}\n", "what stands at connector.matrix is not a mapping"),
        ("- a\n", "it is not a mapping; begin it with `version: 1`"),
    ],
)
def test_a_roster_that_cannot_be_read_is_refused_with_the_line(text: str, why: str) -> None:
    assert why in refusal(text)


def test_the_same_words_of_another_type_are_another_value() -> None:
    text = f"{HEAD}connector:\n  kind: discord\n  discord: {{channel_id: 123, api_url: 0o17}}\n"
    assert edited(text, "discord", {"channel_id": "123"}) == (
        "connector:\n  kind: discord\n  discord: {channel_id: '123', api_url: 0o17}\n"
    )
    assert edited(text, "discord", {"api_url": 15}) == text.removeprefix(HEAD)
    assert "api_url: '0o17'" in edited(text, "discord", {"api_url": "0o17"})


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_text_is_quoted_as_it_must_be(words: list[str]) -> None:
    for text in (f"{HEAD}connector:\n  kind: x\n", f"{HEAD}connector: {{kind: x}}\n"):
        edited(text, "x", {"all": words, **{f"k{i}": word for i, word in enumerate(words)}})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("https://m.example.org:8448", "https://m.example.org:8448"),
        ("it's", "it's"),
        *(
            (text, f"'{text}'")
            for text in ("@a:x", "!abc", "#fleet", "123", "yes", "null", "12:30")
        ),
        ("", "''"),
        ("? x", "'? x'"),
        ("a\nb", '"a\\nb"'),
        (["a", "on"], "[a, 'on']"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_a_value_is_written_as_a_person_would(value: object, words: str) -> None:
    assert edited(HEAD, "x", {"k": value}) == f"\nconnector:\n  kind: x\n  x:\n    k: {words}\n"


def test_a_setting_that_is_no_unicode_is_refused() -> None:
    assert "would not say what it should" in refusal(HEAD, "x", {"k": "\ud800"})
