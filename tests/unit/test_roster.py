from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from fleetchatd import roster as roster_module
from fleetchatd.errors import RosterError
from fleetchatd.roster import Roster, load_roster, parse_roster

ROSTERS = Path(__file__).parent / "rosters"
CONFIG = Path(__file__).parents[2] / "config"


def roster(connector: str = "", agents: str = "[{name: mos, runtime: claude}]") -> Roster:
    text = f"version: 1\ntransport: tmux\nagents: {agents}\n{connector}"
    return parse_roster(text.encode(), "r.yaml")


@pytest.mark.parametrize("key", ["conector", "connectors", "Connector", "CONNECTOR"])
def test_a_misspelt_connector_block_is_doubted_and_no_error(key: str) -> None:
    doubted = roster(f"{key}: {{kind: matrix}}")
    assert doubted.connector_kind == "tmux"
    assert doubted.doubts == [f"r.yaml:4: {key}: is not read (did you mean connector?)"]


@pytest.mark.parametrize(
    "path",
    sorted([*ROSTERS.glob("*.yaml"), *CONFIG.glob("roster*.yaml")]),
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_upstreams_rosters_and_our_examples_load_unchanged(path: Path) -> None:
    loaded = load_roster(path)
    assert loaded.agents
    assert not loaded.doubts


def test_everything_that_upstream_writes_is_read() -> None:
    full = load_roster(ROSTERS / "full.yaml")
    assert full.tmux_socket_name == "my-fleet"
    assert full.connector_kind == "matrix"
    assert full.connector_settings["room_id"] == "!abc:example.internal"
    assert full.agents[0].model_hint == "opus"
    assert (full.agents[1].ssh, full.agents[1].socket) == ("ops@alpha.example.org", "other")
    assert (full.agents[2].name, full.agents[2].host) == ("night", "alpha")  # merged


def test_camel_case_twins_are_read_too() -> None:
    camel = load_roster(ROSTERS / "camel.yaml")
    assert camel.tmux_socket_name == "camel-fleet"
    assert camel.agents[0].model_hint == "opus"
    assert camel.connector_settings == {"channel_id": "123"}


def test_words_that_only_yaml_1_1_takes_for_booleans_are_text() -> None:
    assert [agent.runtime for agent in load_roster(ROSTERS / "tmux.yaml").agents][:2] == [
        "on",
        "yes",
    ]


def test_without_a_connector_block_it_is_tmux() -> None:
    minimal = load_roster(ROSTERS / "minimal.yaml")
    assert (minimal.connector_kind, minimal.connector_settings) == ("tmux", {})
    assert minimal.tmux_socket_name == "mosaic-fleet"


@pytest.mark.parametrize(
    ("agents", "name"),
    [
        ("[{name: a, runtime: x}, {name: b, runtime: x, class: orchestrator}]", "b"),
        (
            "[{name: orchestrator, runtime: x}, {name: b, runtime: x, class: orchestrator}]",
            "b",
        ),
        ("[{name: a, runtime: x}, {name: orchestrator, runtime: x}]", "orchestrator"),
        ("[{name: a, runtime: x}, {name: b, runtime: x}]", "a"),
    ],
)
def test_the_orchestrator_is_found_by_class_then_name_then_place(agents: str, name: str) -> None:
    assert roster(agents=agents).orchestrator.name == name


def test_the_host_is_the_orchestrators_or_else_this_ones_short_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "beta.example.org")
    assert roster(agents="[{name: a, runtime: x, host: alpha}]").host == "alpha"
    assert roster(agents="[{name: a, runtime: x}, {name: b, runtime: x, host: c}]").host == "beta"


def test_the_blocks_of_other_kinds_are_kept_apart() -> None:
    both = roster("connector: {kind: memory, memory: {echo: true}, discord: {channel_id: '1'}}")
    assert both.connector_settings == {"echo": True}
    assert both.other_settings == {"discord": {"channel_id": "1"}}


def test_an_empty_block_is_a_block_without_keys() -> None:
    assert roster("connector:\n  kind: tmux\n  tmux:\n").connector_settings == {}


def test_only_what_a_connector_gets_makes_a_new_one_necessary() -> None:
    base = roster("connector: {kind: memory, memory: {echo: true}}")
    assert base.same_connector_as(
        roster("connector: {kind: memory, memory: {echo: true}, discord: {channel_id: '1'}}")
    )
    assert base.same_connector_as(dataclasses.replace(base, path="other.yaml"))
    for change in (
        {"connector_kind": "tmux"},
        {"connector_settings": {"echo": False}},
        {"tmux_socket_name": "other"},
        {"agents": (roster_module.Agent("other", "x"),)},
        {"agents": (roster_module.Agent("mos", "x", host="elsewhere"),)},
    ):
        assert not base.same_connector_as(dataclasses.replace(base, **change))


def test_a_roster_of_a_megabyte_loads() -> None:
    hint = "h" * 400
    agents = [
        f"  - {{name: a{number}, runtime: x, model_hint: {hint}}}\n" for number in range(2500)
    ]
    raw = ("version: 1\ntransport: tmux\nagents:\n" + "".join(agents)).encode()
    assert len(raw) > 1_000_000
    assert len(parse_roster(raw, "roster.yaml").agents) == 2500


def test_a_roster_that_cannot_be_opened_is_a_roster_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, "a\0b"):
        with pytest.raises(RosterError, match=r"cannot read the roster: .+ \(.+ with --roster\)$"):
            load_roster(path)


@pytest.mark.parametrize(
    "url",
    [
        "https://matrix.example.org",
        "HTTPS://matrix.example.org/",
        "http://127.0.0.1:8008",
        "http://[::1]:8008/base",
        "example.org",
        "example.org:8448",
        "bücher.example",
    ],
)
def test_homeservers_may_be_urls_or_bare_names(url: str) -> None:
    assert matrix(homeserver_url=url).connector_settings["homeserver_url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "ftp://example.org",
        "https://user:hunter2@example.org",
        "https://example.org?x=hunter2",
        "https://example.org ",
        "https://example.org\n",
        "example.org/path",
        "https://example.org/a b",
    ],
)
def test_a_homeserver_url_with_secrets_or_blanks_is_refused(url: str) -> None:
    with pytest.raises(RosterError, match="homeserver_url: is not valid") as error:
        matrix(homeserver_url=url)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "room",
    [
        "!abc:example.org",
        "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM",
        "#fleet:example.org",
        "#fleet:[::1]:8448",
    ],
)
def test_rooms_of_every_version_and_aliases_are_taken(room: str) -> None:
    assert matrix(room_id=room).connector_settings["room_id"] == room


@pytest.mark.parametrize("room", ["", "!", "abc:example.org", "#fleet", "!a b", "!abc\n"])
def test_what_is_no_room_is_refused(room: str) -> None:
    with pytest.raises(RosterError, match="room_id: is not valid"):
        matrix(room_id=room)


@pytest.mark.parametrize("user", ["", "mos", "@mos", "@:x", "@mos:", "@a b:x", "@mos:x\n"])
def test_what_is_no_user_is_refused(user: str) -> None:
    with pytest.raises(RosterError, match="user_id: is not valid"):
        matrix(user_id=user)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://discord.com/api/v10", True),
        ("http://127.0.0.1:8080/api", True),
        ("http://localhost", True),
        ("http://[::1]:1/x", True),
        ("http://discord.com/api", False),
        ("http://127.0.0.1.example.org/", False),
        ("http://localhost@example.org/", False),
        ("https://u:p@example.org", False),
        ("discord.com", False),
    ],
)
def test_discords_token_goes_over_https_or_stays_on_this_machine(url: str, *, good: bool) -> None:
    block = f"connector: {{kind: discord, discord: {{channel_id: '1', api_url: '{url}'}}}}"
    if good:
        assert roster(block).connector_settings["api_url"] == url
        return
    with pytest.raises(RosterError, match=r"discord\.api_url: is not valid"):
        roster(block)


@pytest.mark.parametrize("session", ["", "a.b", "a:b", "=a", "a\tb", "$1", "a\n"])
def test_a_session_that_tmux_would_read_otherwise_is_refused(session: str) -> None:
    with pytest.raises(RosterError, match=r"tmux\.session: is not valid"):
        roster(f"connector: {{kind: tmux, tmux: {{session: {json.dumps(session)}}}}}")


def matrix(**changes: str) -> Roster:
    settings = {
        "homeserver_url": "https://example.org",
        "user_id": "@mos:example.org",
        "room_id": "!abc:example.org",
    } | changes
    return roster(f"connector: {{kind: matrix, matrix: {json.dumps(settings)}}}")
