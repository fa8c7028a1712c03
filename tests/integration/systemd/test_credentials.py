"""A token that only root can read reaches the daemon, and nobody else."""

from __future__ import annotations

import asyncio
import stat
from typing import Any

import pytest

from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.documents import tested_blocks
from tests.harness.synapse_install import REPOSITORY
from tests.harness.systemd_lab import USER
from tests.harness.systemd_service import Service, SystemService, UserService

EXAMPLES = REPOSITORY / "systemd" / "examples"
TOKEN_FILE = "/etc/fleetchatd/matrix_access_token"
ENCRYPT = f"systemd-creds encrypt --name=matrix_access_token - {TOKEN_FILE}.cred"


async def authenticated(service: Service) -> dict[str, Any]:
    await service.start()
    return await service.api.wait_health(lambda health: health["connector"]["authenticated"])


@pytest.mark.parametrize("example", ["credential.conf", "credential-encrypted.conf"])
async def test_the_examples_give_the_system_service_its_token(
    system: SystemService, fake: FakeMatrixRoom, example: str
) -> None:
    token = fake.bot.access_token
    await system.configure("matrix", **fake.settings)
    text = await asyncio.to_thread((EXAMPLES / example).read_text)
    if "encrypted" in example:
        assert f"#     {ENCRYPT}\n" in text  # what it says to type is what is typed here
        await system.lab.run("sh", "-c", f"printf %s '{token}' | {ENCRYPT}")
    else:
        (typed,) = tested_blocks("test_the_examples_give_the_system_service_its_token")
        await system.lab.run("sh", "-c", f"printf '%s\\n' '{token}' | {typed}")
        assert stat.S_IMODE(system.lab.path(TOKEN_FILE).stat().st_mode) == 0o600
    await system.drop_in(text)
    await authenticated(system)
    shown = await system.systemctl("show", "fleetchatd")
    assert token not in shown
    assert token not in str(await system.records())


async def test_the_systems_daemon_finds_the_login_that_root_has_stored(
    system: SystemService, fake: FakeMatrixRoom
) -> None:
    await system.configure("matrix", **fake.settings)
    (typed,) = tested_blocks("test_the_systems_daemon_finds_the_login_that_root_has_stored")
    login, start = typed.splitlines()
    token = f"printf %s '{fake.bot.access_token}' | {login} --token-stdin"  # no terminal here
    await system.lab.run("sh", "-ec", f"{token}\n{start}")
    await system.api.wait_health(lambda health: health["connector"]["authenticated"])
    owner = "stat -c %U:%a /var/lib/fleetchatd/logins/matrix_access_token.json"
    assert await system.lab.run("sh", "-c", owner) == "fleetchatd:600\n"
    # While it runs, neither the chat nor the place need be named.
    bare = token.replace(login, "fleetchat login")
    assert "stored in /var/lib/fleetchatd/logins/" in await system.lab.run("sh", "-ec", bare)
    assert await system.lab.run("sh", "-c", owner) == "fleetchatd:600\n"


async def test_a_users_service_gets_its_token_from_a_file_of_that_user(
    user: UserService, fake: FakeMatrixRoom
) -> None:
    await user.configure("matrix", **fake.settings)
    path = f"/home/{USER}/.config/fleetchatd/matrix_access_token"
    user.lab.path(path).parent.mkdir(exist_ok=True)
    user.lab.path(path).write_text(fake.bot.access_token)
    await user.lab.run("chown", USER, path)
    await user.lab.run("chmod", "600", path)
    (drop_in,) = tested_blocks("test_a_users_service_gets_its_token_from_a_file_of_that_user")
    await user.drop_in(drop_in)
    await authenticated(user)


async def test_a_token_that_is_missing_is_a_matter_for_a_person(system: SystemService) -> None:
    settings = {"homeserver_url": "http://127.0.0.1:9", "user_id": "@a:b.c", "room_id": "!r:b.c"}
    await system.configure("matrix", **settings)
    await system.systemctl("start", "fleetchatd", code=1)
    assert await system.show("ExecMainStatus") == "78"
    await system.logged("cannot find the secret matrix_access_token", "PRIORITY=3")
