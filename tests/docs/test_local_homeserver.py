"""A homeserver of one's own, as its page says: made, set up, saved and removed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleetchatd.homeserver import process
from fleetchatd.homeserver.install import PYTHON_VARIABLE
from tests.docs.shell import Newcomer
from tests.harness import matrix_http
from tests.harness.documents import tested_blocks
from tests.harness.human import Account, Human
from tests.harness.matrix_http import path
from tests.harness.ports import Port
from tests.harness.rooms import StartSynapse
from tests.harness.synapse_install import REPOSITORY, ensure_installed
from tests.harness.waiting import eventually

CONFIG = REPOSITORY / "config" / "homeserver"
VALUES = re.compile(r"(Homeserver|Username|Password) +(\S+)")


async def test_a_homeserver_is_made_saved_brought_back_and_removed(newcomer: Newcomer) -> None:
    up, shown, down, save, bring_back, remove = tested_blocks(
        "test_a_homeserver_is_made_saved_brought_back_and_removed"
    )
    # The download is the installer's own test; here Synapse is there already.
    newcomer.env[PYTHON_VARIABLE] = str(ensure_installed())
    state = newcomer.home / ".local/state/fleetchatd"
    told = await newcomer.type(up)
    try:
        assert VALUES.sub(r"\1", shown) in VALUES.sub(r"\1", told)
        ann = await signed_in(*(value for _, value in VALUES.findall(told)))
        (ann.room_id,) = (await ann.ask("GET", path("joined_rooms"))).body["joined_rooms"]
        await ann.say("remember this")
        await newcomer.type(save)
        await newcomer.type(down)
        shutil.rmtree(state)
        await newcomer.type(bring_back)
        assert await ann.texts() == ["remember this"]
        await newcomer.type(remove)
        assert list(state.rglob("*")) == [state / "logins"]
    finally:
        await newcomer.type("fleetchat homeserver down")
    assert process.running(state / "homeserver") is None


async def test_a_synapse_that_stays_is_set_up_as_the_page_says(newcomer: Newcomer) -> None:
    generate, private, users, token_and_room = tested_blocks(
        "test_a_synapse_that_stays_is_set_up_as_the_page_says"
    )
    assert private == (CONFIG / "synapse.yaml").read_text()
    folder = installed_in(newcomer.home / ".local/share/synapse")
    port = Port()
    newcomer.instead["127.0.0.1:8008"] = f"127.0.0.1:{port.number}"
    await newcomer.type(generate)
    (folder / "private.yaml").write_text(private)
    generated = folder / "homeserver.yaml"
    generated.write_text(generated.read_text().replace("port: 8008", f"port: {port.number}"))
    try:
        newcomer.leave_running(f"cd {folder}", what_the_unit_starts(newcomer.home))
        await answering(port.base_url)
        await newcomer.type(f"cd {folder}", users)
        await newcomer.type(f"cd {folder}", token_and_room)
        ann = await signed_in(port.base_url, "ann", (folder / "ann.password").read_text().strip())
        roster = yaml.safe_load((newcomer.home / ".config/mosaic/fleet/roster.yaml").read_text())
        await ann.join(roster["connector"]["matrix"]["room_id"])
        newcomer.leave_running("fleetchatd")
        await newcomer.until_well()
        await newcomer.type("fleetchat send --wait 20 'Hello.'")
        await ann.hears("Hello.")
    finally:
        port.close()


async def test_users_are_registered_with_a_token_as_the_page_says(
    newcomer: Newcomer, own_synapse: StartSynapse
) -> None:
    """The Conduit family's way of registering is the standard's, and Synapse knows that, too."""
    make_token, register = tested_blocks("test_users_are_registered_with_a_token_as_the_page_says")
    server = await own_synapse(enable_registration=True, registration_requires_token=True)
    newcomer.instead["http://127.0.0.1:8008"] = server.base_url
    await newcomer.type(make_token)
    folder = newcomer.home / ".local/share/tuwunel"
    token = (folder / "registration-token").read_text().strip()
    admin = await server.register(admin=True)
    tokens = "/_synapse/admin/v1/registration_tokens/new"
    body = {"token": token}
    await matrix_http.demand(server.base_url, "POST", tokens, body, token=admin.access_token)
    said = await newcomer.type(f"cd {folder}", register)
    answers = [json.loads(line) for line in said.replace("}{", "}\n{").splitlines()]
    for name, answer in zip(("ann", "mos"), answers, strict=True):
        # The Conduit family is content by now. Synapse wants one more word, which says nothing.
        assert answer["completed"] == ["m.login.registration_token"]
        password = (folder / f"{name}.password").read_text().strip()
        word = {"type": "m.login.dummy", "session": answer["session"]}
        account = {"username": name, "password": password, "auth": word}
        await matrix_http.demand(server.base_url, "POST", path("register"), account)
        await signed_in(server.base_url, name, password)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
async def test_the_units_are_what_systemd_accepts(newcomer: Newcomer) -> None:
    blocks = tested_blocks("test_the_units_are_what_systemd_accepts")
    assert blocks == [(CONFIG / f"{name}.service").read_text() for name in ("tuwunel", "synapse")]
    home = newcomer.home
    for program in ("bin/fleetchat", "bin/tuwunel", "share/synapse/bin/python"):
        stub = home / ".local" / program
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.touch(0o755)
    units = shlex.join(map(str, CONFIG.glob("*.service")))
    assert await newcomer.type(f"systemd-analyze verify --user --man=no {units}") == ""


def test_the_compose_files_keep_to_this_machine() -> None:
    blocks = tested_blocks("test_the_compose_files_keep_to_this_machine")
    names = ("tuwunel", "synapse")
    assert blocks == [(CONFIG / f"{name}.compose.yaml").read_text() for name in names]
    for block in blocks:
        file: Any = yaml.safe_load(block)
        server = file["services"]["homeserver"]
        assert server["ports"] == ["127.0.0.1:8008:8008"]
        sources = {volume.partition(":")[0] for volume in server["volumes"]}
        assert {name for name in sources if not name.startswith("./")} == set(
            file.get("volumes", ())
        )
        assert server.get("secrets", []) == list(file.get("secrets", ()))
        assert all(isinstance(value, str) for value in server.get("environment", {}).values())


def installed_in(folder: Path) -> Path:
    """A virtual environment with Synapse, as `pip install matrix-synapse` would leave one."""
    folder.mkdir(parents=True)
    venv = ensure_installed().parents[1]
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / name).symlink_to(venv / name)
    return folder


def what_the_unit_starts(home: Path) -> str:
    unit = (CONFIG / "synapse.service").read_text()
    (command,) = re.findall(r"(?m)^ExecStart=(.*)$", unit)
    return str(command).replace("%h", str(home))


async def answering(base_url: str) -> None:
    async def probe() -> bool:
        try:
            versions = await matrix_http.ask(base_url, "GET", "/_matrix/client/versions")
        except OSError:
            return False
        return versions.status == 200

    await eventually("the homeserver answering", probe, timeout_s=60)


async def signed_in(url: str, name: str, password: str) -> Human:
    login = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": name},
        "password": password,
    }
    answer = await matrix_http.demand(url, "POST", path("login"), login)
    account = Account(answer["user_id"], password, answer["access_token"], answer["device_id"])
    return Human(url, account)
