from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleetchatd.connectors import registry
from fleetchatd.errors import RosterError
from fleetchatd.roster import Roster, load_roster, parse_roster
from fleetchatd.roster_check import names_secret

GOOD = (Path(__file__).parents[2] / "config" / "roster.matrix.yaml").read_text()
HEAD = "version: 1\ntransport: tmux\nagents: [{name: mos, runtime: claude}]\n"
SECRET = "hunter2"


def problems(text: str | bytes) -> list[str]:
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(RosterError) as error:
        parse_roster(raw, "roster.yaml")
    return error.value.problems


def problem(text: str | bytes) -> str:
    (found,) = problems(text)
    return found


def test_every_problem_is_said_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    path.write_text(
        "version: 2\n"
        "transport: tmux\n"
        "agents:\n"
        "  - name: a b\n"
        "    runtime: claude\n"
        "  - runtime: 5\n"
        "connector:\n"
        "  kind: matrix\n"
        "  matrix:\n"
        "    homeserver_ur: https://x\n"
        "    user_id: '@mos:example.internal'\n"
        "    room_id: '!abc:example.internal'\n"
        "  discord:\n"
        "    channel_id: 123\n"
    )
    with pytest.raises(RosterError) as error:
        load_roster(path)
    heads = [re.sub(r" \(.*", "", text) for text in error.value.problems]
    assert [head.removeprefix(str(path)) for head in heads] == [
        ":1: version: is not valid",
        ":4: agents.0.name: is not valid",
        ":6: agents.1.name: missing",
        ":6: agents.1.runtime: is a number",
        ":9: connector.matrix.homeserver_url: missing",
        ":10: connector.matrix.homeserver_ur: unknown key",
        ":14: connector.discord.channel_id: is a number",
    ]


def test_a_misspelt_key_gets_the_right_one() -> None:
    text = GOOD.replace("homeserver_url:", "homeserver_ur:")
    line = text[: text.index("homeserver_ur:")].count("\n") + 1
    assert (
        f"roster.yaml:{line}: connector.matrix.homeserver_ur: unknown key"
        " (did you mean homeserver_url?)"
    ) in problems(text)


def test_the_selected_kinds_block_is_checked_even_where_it_is_absent() -> None:
    found = problems(HEAD + "connector:\n  kind: matrix\n")
    assert [text.split(": ")[1] for text in found] == [
        "connector.matrix.homeserver_url",
        "connector.matrix.room_id",
        "connector.matrix.user_id",
    ]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("connector:", "roster.yaml:4: connector: is empty (give a mapping"),
        ("connector: tmux", "roster.yaml:4: connector: is text (give a mapping"),
        ("connector: {}", "roster.yaml:4: connector.kind: missing (give a kind"),
        ("connector: {kind: 5}", "roster.yaml:4: connector.kind: is a number (give"),
        ("connector: {kind: tmux, slack: {}}", "connector.slack: unknown key (remove it; known"),
        ("connector: {kind: tmux, Matrix: {}}", "connector.Matrix: unknown key (did you mean m"),
        ("connector: {kind: tmux, tmux: [x]}", "connector.tmux: is a list (its schema wants"),
        ("connector: {kind: tmux, tmux: {socketName: x}}", "(did you mean socket_name?)"),
        ("connector: {kind: tmux, tmux: {command: a b}}", "command: is text (give a list of"),
        ("connector: {kind: tmux, tmux: {command: [a, 1]}}", "tmux.command.1: is a number (g"),
    ],
)
def test_the_connector_block_is_strict(block: str, expected: str) -> None:
    assert expected in problem(HEAD + block)


def test_an_empty_list_of_senders_is_refused_with_both_ways_out() -> None:
    found = problem(GOOD.replace("['@ann:example.org']", "[]"))
    assert "connector.matrix.allowed_senders: is not valid" in found
    assert "would let nobody speak" in found
    assert "leave the key out" in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "roster.yaml:1: is empty"),
        ("# nothing\n", "roster.yaml:1: is empty"),
        ("~", "roster.yaml:1: is not a mapping"),
        ("- a", "roster.yaml:1: is not a mapping"),
        ("hello", "roster.yaml:1: is not a mapping"),
        (b"a: 1\nb: \xff\xfe", "roster.yaml:2: is not UTF-8"),
        ("a: 1".encode("utf-16"), "roster.yaml:1: is not UTF-8"),
        ("a: 1\nb: \x07", "roster.yaml:2: has a control character"),
        ("a:\n\t- b", "roster.yaml:2: is not YAML: found character that cannot start any token"),
        ("a: 1\nb: [1", "roster.yaml:3: is not YAML: did not find expected"),
        ("a: 1\nb: @x", "quote a value that begins with @"),
        ("a: b: c", "roster.yaml:1: is not YAML: mapping values are not allowed"),
        ("a: 1\n---\nb: 2", "roster.yaml:2: is not YAML: but found another document"),
        ("a: *hunter2", "roster.yaml:1: is not YAML: found undefined alias"),
        ("[" * 100_000, "roster.yaml:1: nests deeper than 32 levels"),
        ("- " * 100_000, "roster.yaml:1: nests deeper than 32 levels"),
        ("a: &a [*a]", "roster.yaml:1: nests without end"),
        ("a: &a\n  <<: *a", "roster.yaml:1: nests without end"),
        ("x" * 2_100_000, "roster.yaml:1: is larger than"),
        (HEAD + "x: !!python/object:os.system {}", "roster.yaml:4: x: has a YAML tag"),
        (HEAD + "x: !!binary aGk=", "roster.yaml:4: x: has a YAML tag"),
        (HEAD + "x: !!int hunter2", "roster.yaml:4: x: is not what its YAML tag says"),
        (HEAD + "x: " + "9" * 5000, "roster.yaml:4: x: is not what its YAML tag says, or a numb"),
        (HEAD + "x: {[a]: b}", "roster.yaml:4: x: has a key that is not text"),
        (HEAD + "x: {<<: b}", "roster.yaml:4: x: merges (<<) something"),
        (HEAD + "version: 1", "roster.yaml:4: version: is there twice, first in line 1"),
    ],
)
def test_what_is_no_roster_says_where_and_why_and_what_to_do(
    text: str | bytes, expected: str
) -> None:
    found = problem(text)
    assert expected in found
    assert re.fullmatch(r".+ \(.+\)", found)
    assert SECRET not in found


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 20):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    assert "use fewer aliases" in problem("\n".join(lines))


def test_values_that_yaml_takes_for_something_else_come_with_the_remedy() -> None:
    text = GOOD.replace("'!abcdefghijklmnop:example.org'", "!abc:example.org")
    assert "room_id: has a YAML tag" in problem(text)
    assert "quote a value that begins with !" in problem(text)
    text = GOOD.replace("'!abcdefghijklmnop:example.org'", "#fleet:example.org")
    assert "room_id: is empty" in problem(text)
    assert "quote a value that begins with #" in problem(text)
    text = HEAD + "connector: {kind: discord, discord: {channel_id: 123}}"
    assert problem(text).endswith("in quotes such as '123'; quote it)")


@pytest.mark.parametrize(
    "key",
    [
        "access_token",
        "accessToken",
        "ACCESS-TOKEN",
        "access token",
        "token",
        "Token",
        "bot_token",
        "password",
        "secret",
        "client_secret",
        "api_key",
        "apiKey",
        "API.KEY",
        "key",
        "credentials",
        "ａccess_ｔoken",  # noqa: RUF001 - full-width letters
    ],
)
@pytest.mark.parametrize(
    "block",
    [
        "connector:\n  kind: matrix\n  '{}': hunter2\n",
        "connector:\n  kind: tmux\n  matrix:\n    '{}': hunter2\n",
        "connector:\n  kind: tmux\n  tmux:\n    command:\n      - '{}': hunter2\n",
        "connector:\n  kind: tmux\n  nonsense:\n    '{}': [hunter2, {{a: hunter2}}]\n",
        "connector:\n  - '{}': hunter2\n",
        "x: &x\n  '{}': hunter2\nconnector:\n  kind: tmux\n  tmux:\n    <<: *x\n",
    ],
)
def test_secrets_are_refused_by_name_wherever_they_stand(key: str, block: str) -> None:
    text = HEAD + block.format(key)
    line = text[: text.index("hunter2")].count("\n") + 1
    found = problems(text)
    assert any(
        each.startswith(f"roster.yaml:{line}: connector.") and "a secret must not stand" in each
        for each in found
    ), found
    assert SECRET not in "".join(found)


def test_the_refusal_of_a_secret_says_where_it_belongs() -> None:
    found = "".join(problems(HEAD + "connector: {kind: tmux, matrix: {token: hunter2}}"))
    assert "$MATRIX_ACCESS_TOKEN" in found
    assert "matrix_access_token" in found


def test_no_setting_of_ours_is_named_like_a_secret() -> None:
    for kind in registry.SHIPPED:
        assert not any(names_secret(key) for key in registry.settings_schema(kind)["properties"])


def test_a_key_that_would_drive_the_terminal_is_not_repeated() -> None:
    found = problem(HEAD + 'connector: {kind: tmux, "\\e[31m hunter2": 1}')
    assert found.isprintable()
    assert SECRET not in found


# Properties. A secret stands somewhere in a damaged roster: it never shows in what is said.

plain = st.text(string.ascii_letters + "_ :-#[]{}&*!|>'\"%@`,?~\n\t", max_size=30)
keys = st.sampled_from(
    ["kind", "matrix", "tmux", "discord", "token", "user_id", "room_id", "session", "connector"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(SECRET) | plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | plain, inner, max_size=4),
    max_leaves=12,
)


def outcome(raw: bytes) -> Roster | str:
    """The roster, or what is said of it; lines of one place each, fit for a terminal."""
    try:
        return parse_roster(raw, "roster.yaml")
    except RosterError as error:
        found = error.problems
    for each in found:
        assert re.match(r"roster\.yaml:[0-9]+: ", each)
        assert each.isprintable()
    return "\n".join(found)


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b"\x00")
@example(b"\xef\xbb\xbf")
@example(b"? ? ? a")
@example(b'"\\ud800": 1')
@example(b'"\\U00110000": 1')
@example(b"? {a: b}\n: c")
@example(b"!!set {a}")
@example(b"!!map [a]")
@example(b"<<: 1")
def test_any_bytes_are_a_roster_or_a_roster_error(raw: bytes) -> None:
    outcome(raw)


@settings(deadline=None)
@given(values)
def test_any_connector_block_is_checked_without_another_exception(block: object) -> None:
    text = HEAD + yaml.safe_dump({"connector": block}, allow_unicode=True)
    found = outcome(text.encode())
    if isinstance(found, Roster):
        assert found.connector_kind in registry.kinds()


@settings(deadline=None)
@given(
    st.sampled_from(GOOD.splitlines()),
    st.integers(0, 40),
    plain,
    st.sampled_from(
        ["token: ", "access_token: ", "password: '", "token: *", "room_id: ", "tmux: "]
    ),
)
def test_a_secret_in_a_damaged_roster_never_shows(
    line: str, column: int, noise: str, key: str
) -> None:
    damaged = f"{line[:column]}{noise}\n    {key}{SECRET}\n{line[column:]}"
    found = outcome(GOOD.replace(line, damaged, 1).encode())
    if isinstance(found, str):
        assert SECRET not in found


@settings(deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), plain)
def test_a_roster_with_a_piece_replaced_is_read_or_refused(
    start: int, end: int, noise: str
) -> None:
    outcome((GOOD[:start] + noise + GOOD[end:]).encode())
