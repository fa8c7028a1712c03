"""`fleetchat init` without a terminal: scripts, which say everything at once."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from fleetchatd.roster import load_roster
from tests.harness.home import Done, Home
from tests.harness.rooms import Room
from tests.harness.synapse import Synapse

FLEET = """\
# The night shift
version: 1
transport: tmux
agents:
  - {name: mos, runtime: claude, class: orchestrator}   # leads
  - {name: "qa", runtime: codex}
"""


def words(settings: Mapping[str, Any]) -> list[str]:
    """A kind's settings as the flags of a command."""
    pairs = [
        ("--" + name.removesuffix("s").replace("_", "-"), each)
        for name, value in settings.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return [word for pair in pairs for word in pair]


async def init_matrix(home: Home, room: Room, *more: str, logged_in: bool = True) -> Done:
    env = {"MATRIX_ACCESS_TOKEN": room.bot.access_token} if logged_in else {}
    flags = words(room.settings)
    return await home.run("init", "--connector", "matrix", *flags, *more, env=env)


async def test_all_flags_at_once_write_what_was_verified_and_nothing_the_second_time(
    home: Home, room: Room
) -> None:
    home.write_roster(FLEET)
    home.roster.chmod(0o640)
    done = await init_matrix(home, room, "--yes")
    assert (done.code, "error" in done.errors) == (0, False), done
    assert f"what was there before is in {home.roster}.bak" in done.out
    text = home.roster.read_text()
    assert text.startswith(FLEET)
    assert home.roster.stat().st_mode & 0o777 == 0o640
    assert home.roster.with_name("roster.yaml.bak").read_text() == FLEET
    assert load_roster(home.roster).connector_settings == room.settings
    again = await init_matrix(home, room)
    assert (again.code, again.out) == (0, f"nothing to do: {home.roster} says it already\n")
    assert home.roster.read_text() == text
    assert len(list(home.roster.parent.iterdir())) == 2


async def test_a_dry_run_prints_a_diff_that_patch_applies_and_writes_nothing(
    home: Home, room: Room
) -> None:
    home.write_roster(FLEET.replace("\n", "\r\n"))
    before = home.roster.read_bytes()
    dry = await init_matrix(home, room, "--dry-run")
    assert (dry.code, home.roster.read_bytes()) == (0, before)
    patched = patch(home.directory / "copy.yaml", before, dry.out)
    assert (await init_matrix(home, room, "--yes")).code == 0
    assert home.roster.read_bytes() == patched


def patch(copy: Path, before: bytes, diff: str) -> bytes:
    copy.write_bytes(before)
    subprocess.run(["patch", "--quiet", "--binary", copy], input=diff.encode(), check=True)
    return copy.read_bytes()


async def test_switching_kinds_keeps_what_the_other_kinds_have(home: Home, room: Room) -> None:
    home.write_roster(FLEET)
    assert (await init_matrix(home, room, "--yes")).code == 0
    to_tmux = await home.run("init", "--connector", "tmux", "--session", "ops", "--yes")
    assert to_tmux.code == 0, to_tmux
    roster = load_roster(home.roster)
    assert roster.connector_settings == {"session": "ops"}
    assert roster.other_settings == {"matrix": room.settings}
    back = await home.run(
        *("init", "--connector", "matrix", "--yes"),
        env={"MATRIX_ACCESS_TOKEN": room.bot.access_token},
    )
    assert back.code == 0, back  # what the roster has needs no answer
    assert load_roster(home.roster).connector_settings == room.settings


async def test_what_the_server_refuses_is_told_and_not_written(home: Home, room: Room) -> None:
    home.write_roster(FLEET)
    nowhere = await init_matrix(home, room, "--room-id", "#none:fleet.test", "--yes")
    assert nowhere.code == 2  # two rooms
    settings = room.settings | {"room_id": "#none:fleet.test"}
    token = {"MATRIX_ACCESS_TOKEN": room.bot.access_token}
    command = ["init", "--connector", "matrix", "--yes"]
    done = await home.run(*command, *words(settings), env=token)
    assert (done.code, done.out) == (1, ""), done
    assert "error    there is no room #none:fleet.test; " in done.errors
    settings = room.settings | {"homeserver_url": "http://127.0.0.1:1"}
    away = await home.run(*command, *words(settings), env=token)
    assert (away.code, "--no-verify" in away.errors) == (1, True), away
    assert home.roster.read_text() == FLEET
    assert (await home.run(*command, *words(settings), "--no-verify", env=token)).code == 0
    assert load_roster(home.roster).connector_settings == settings


async def test_without_a_login_the_roster_is_written_and_the_next_step_is_named(
    home: Home, room: Room
) -> None:
    done = await init_matrix(home, room, "--yes", logged_in=False)
    assert done.code == 0, done
    assert "warning  cannot find the secret matrix_access_token" in done.errors
    assert "next: fleetchat login matrix\n" in done.out
    assert load_roster(home.roster).connector_settings == room.settings


async def test_a_room_is_made_once_however_often_it_is_asked_for(
    home: Home, synapse: Synapse
) -> None:
    bot, ann = await synapse.register(), await synapse.human()
    command = ["init", "--connector", "matrix", "--create-room", "--invite", ann.user_id, "--yes"]
    account = {"homeserver_url": synapse.base_url, "user_id": bot.user_id}
    early = await home.run(*command, *words(account))
    assert (early.code, "fleetchat login matrix" in early.errors) == (1, True), early
    token = {"MATRIX_ACCESS_TOKEN": bot.access_token}
    done = await home.run(*command, *words(account), env=token)
    assert done.code == 0, done
    room_id = load_roster(home.roster).connector_settings["room_id"]
    await ann.in_room(room_id).join()
    again = await home.run(*command, *words(account), env=token)
    assert (again.code, "nothing to do" in again.out) == (0, True), again
    other = await synapse.register()
    moved = words(account | {"user_id": other.user_id})
    env = {"MATRIX_ACCESS_TOKEN": other.access_token}
    assert (await home.run(*command, *moved, env=env)).code == 0
    assert load_roster(home.roster).connector_settings["room_id"] != room_id


async def test_plug_ins_are_set_up_by_their_schemas_and_a_broken_one_is_in_nobodys_way(
    home: Home,
) -> None:
    home.install_plug_in("pigeon", PIGEON)
    home.install_plug_in("broken", "raise RuntimeError('no')")
    settings = ["--loft", "attic", "--speed", "7", "--ring", "a", "--ring", "b"]
    done = await home.run("init", "--connector", "pigeon", *settings, "--yes")
    assert done.code == 0, done
    assert "warning  no feather was seen" in done.errors
    wanted = {"loft": "attic", "speed": 7, "rings": ["a", "b"]}
    assert load_plug_in_settings(home, "pigeon") == wanted
    fault = await home.run("init", "--connector", "pigeon", "--loft", "cellar", "--yes")
    assert (fault.code, "error    the cellar is too damp; take the attic" in fault.errors) == (
        1,
        True,
    )
    refused = await home.run("init", "--connector", "broken", "--yes")
    assert (refused.code, "cannot load connector broken" in refused.errors) == (1, True)


def load_plug_in_settings(home: Home, kind: str) -> Any:
    return yaml.safe_load(home.roster.read_text())["connector"][kind]


PIGEON = dedent("""
    from fleetchatd.connectors.guide import Finding
    from fleetchatd.connectors.memory import MemoryConnector


    class Helper:
        async def examine(self, settings, context):
            yield Finding("warning", "no feather was seen", "look again")
            if settings["loft"] == "cellar":
                yield Finding("error", "the cellar is too damp", "take the attic", "loft")


    class Plug(MemoryConnector):
        kind = "pigeon"
        guide = Helper()
        settings_schema = {
            "type": "object",
            "additionalProperties": False,
            "required": ["loft"],
            "properties": {
                "loft": {"type": "string", "title": "a place"},
                "speed": {"type": "integer", "minimum": 1},
                "rings": {"type": "array", "items": {"type": "string"}},
                "yes": {"type": "string"},
                "nested": {"type": "object"},
            },
        }
""")
