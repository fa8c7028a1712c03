from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from fleetchatd.connectors import registry
from fleetchatd.connectors.guide import Guide
from fleetchatd.connectors.memory import MemoryConnector
from fleetchatd.errors import ConfigError, ConnectorNotImplementedError, RosterError
from fleetchatd.roster import parse_roster
from fleetchatd.roster_check import SCHEMA

HEAD = "version: 1\ntransport: tmux\nagents: [{name: mos, runtime: claude}]\n"
GOOD = """
class Pigeon:
    kind = "pigeon"
    settings_schema = {
        "type": "object",
        "properties": {"loft": {"type": "string", "pattern": "^[a-z]+$"}},
        "patternProperties": {"^x_": True},
        "required": ["loft"],
        "additionalProperties": False,
    }
    secrets = ("pigeon_token",)
    target = "loft"
    @classmethod
    def create(cls, settings, context): return cls()
    async def send(self, part): ...
    async def subscribe(self, inbox): ...
    def health(self): ...
"""

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with one plug-in, as pip would leave it on the path."""

    def install(kind: str, source: str) -> None:
        module = f"plug_in_{kind}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"fleetchat_{kind}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: fleetchat-{kind}\nVersion: 1.0\n"
        )
        group = registry.ENTRY_POINT_GROUP
        (info / "entry_points.txt").write_text(f"[{group}]\n{kind} = {module}:Pigeon\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    monkeypatch.syspath_prepend(str(tmp_path))
    return install


def problems(text: str) -> str:
    with pytest.raises(RosterError) as error:
        parse_roster((HEAD + text).encode(), "r.yaml")
    return "\n".join(error.value.problems)


def test_memory_is_implemented_by_its_class() -> None:
    assert registry.connector_class("memory") is MemoryConnector


def test_a_known_kind_without_an_implementation_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = registry.Shipped("fleetchatd.connectors.tmux.settings", None, "install a newer one")
    monkeypatch.setitem(registry.SHIPPED, "radio", row)
    with pytest.raises(ConnectorNotImplementedError, match=r"connector radio.*install a newer one"):
        registry.connector_class("radio")


def test_a_shipped_kind_whose_library_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = registry.Shipped("none", "no_such_library.connector:Class", "install the extra")
    monkeypatch.setitem(registry.SHIPPED, "radio", row)
    with pytest.raises(ConnectorNotImplementedError, match=r"no_such_library.*install the extra"):
        registry.connector_class("radio")


def test_discord_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("fleetchatd.connectors.discord")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "discord", None)
    with pytest.raises(ConnectorNotImplementedError, match=r"pip install 'fleetchatd\[discord\]'"):
        registry.connector_class("discord")


def test_an_unknown_kind_is_refused_with_those_that_are_installed() -> None:
    with pytest.raises(ConnectorNotImplementedError, match="discord, matrix, memory, tmux"):
        registry.connector_class("pigeon")


def test_a_roster_that_names_an_unknown_kind_gets_a_suggestion() -> None:
    assert problems("connector: {kind: Matirx}") == (
        "r.yaml:4: connector.kind: unknown kind"
        " (did you mean matrix? installed are: discord, matrix, memory, tmux)"
    )


def test_every_shipped_kind_gives_schema_and_secrets_without_its_library() -> None:
    code = """
import sys
from fleetchatd.connectors import registry
for kind in registry.SHIPPED:
    assert registry.settings_schema(kind)["additionalProperties"] is False
    assert isinstance(registry.secret_names(kind), tuple)
heavy = {"aiohttp", "discord", "markdown_it", "nh3", "importlib.metadata"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_shipped_schema_is_one_of_draft_2020_12() -> None:
    ours = [SCHEMA, *(registry.settings_schema(kind) for kind in registry.SHIPPED)]
    for schema in ours:
        Draft202012Validator.check_schema(schema)


def test_a_plug_in_is_found_and_its_block_is_checked_by_its_own_schema(install: Install) -> None:
    install("pigeon", GOOD)
    assert registry.connector_class("pigeon").kind == "pigeon"
    assert registry.secret_names("pigeon") == ("pigeon_token",)
    assert "pigeon" in registry.kinds()
    block = "connector: {kind: pigeon, pigeon: {loft: north, x_any: 1}}"
    roster = parse_roster((HEAD + block).encode(), "r.yaml")
    assert roster.connector_settings == {"loft": "north", "x_any": 1}
    found = problems("connector:\n  kind: tmux\n  pigeon:\n    loft: HUNTER2\n    loftt: hunter2")
    assert "r.yaml:7: connector.pigeon.loft: is not valid" in found
    assert "r.yaml:8: connector.pigeon.loftt: unknown key (did you mean loft?)" in found
    assert "hunter2" not in found.lower()


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('no wings')",
        "import sys; sys.exit('no wings')",
        "import no_wings",
        "class Pigeon: kind = 'no wings'",
        GOOD.replace("settings_schema =", "settings_schema = 'no wings'; x ="),
        "",
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_named_without_a_traceback(
    install: Install, source: str
) -> None:
    install("pigeon", source)
    with pytest.raises(ConfigError, match=r"cannot load connector pigeon.* fleetchat-pigeon"):
        registry.connector_class("pigeon")
    assert "r.yaml:4: connector.pigeon: cannot load" in problems("connector: {kind: pigeon}")


@pytest.mark.parametrize(
    "schema", ["{'type': 'nonsense'}", "{'$ref': 'https://schemas.example.org/x.json'}"]
)
def test_a_plug_ins_broken_schema_is_a_problem_and_no_download(
    install: Install, schema: str
) -> None:
    install("pigeon", GOOD + f"\nPigeon.settings_schema = {schema}\n")
    assert "connector.pigeon: cannot be checked" in problems("connector: {kind: pigeon}")


def test_a_plug_in_may_bring_a_kind_that_is_merely_known(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = registry.Shipped("fleetchatd.connectors.tmux.settings", None, "install it")
    monkeypatch.setitem(registry.SHIPPED, "pigeon", row)
    install("pigeon", GOOD)
    assert registry.connector_class("pigeon").__name__ == "Pigeon"


def test_a_plug_in_cannot_take_the_place_of_a_shipped_kind(install: Install) -> None:
    install("memory", GOOD)
    assert registry.connector_class("memory") is MemoryConnector


@pytest.mark.parametrize("kind", ["discord", "matrix", "tmux"])
def test_what_helps_to_set_a_kind_up_is_no_part_of_what_a_daemon_loads(kind: str) -> None:
    assert isinstance(registry.guide(kind), Guide)
    code = (
        "import sys; from fleetchatd.connectors import registry;"
        f" registry.connector_class({kind!r}); print('fleetchatd.connectors.guide' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_kind_without_a_chat_has_nothing_to_help_with() -> None:
    assert registry.guide("memory") is None
