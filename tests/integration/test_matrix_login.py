"""Logging in to a real Synapse and out again, and what a daemon at work makes of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd.connectors.guide import Credential, Finding
from fleetchatd.connectors.matrix.guide import MatrixGuide
from fleetchatd.errors import SetupError
from fleetchatd.model import Secret
from fleetchatd.secrets import read_secret, store_login
from fleetchatd.setup.context import context_for
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.daemon import Daemon
from tests.harness.guides import Kept, amiss, examined
from tests.harness.human import Account, Human
from tests.harness.matrix_http import path
from tests.harness.rooms import Furnished, MakeDaemon, MakeRoom, Room, StartSynapse
from tests.harness.synapse import Synapse
from tests.harness.waiting import eventually

TOKEN = "matrix_access_token"

guide = MatrixGuide()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Synapse]:
    """A homeserver where tokens soon expire, and few wrong passwords are too many."""
    server = Synapse(
        tmp_path_factory.mktemp("strict"),
        refreshable_access_token_lifetime="2s",
        rc_login={
            "failed_attempts": {"per_second": 0.01, "burst_count": 1},
            "address": {"per_second": 100, "burst_count": 100},
        },
    )
    try:
        await server.start()
        yield server
    finally:
        await server.close()


async def whoami(synapse: Synapse, token: str) -> int:
    """The status with which the homeserver answers that token."""
    account = Account("", "", token, "")
    return (await Human(synapse.base_url, account).ask("GET", path("account", "whoami"))).status


async def logged_in(room: Furnished, earlier: Secret | None = None) -> Secret:
    password = Credential("password", room.bot.password)
    return (await guide.login(room.settings, password, earlier)).secret


async def test_a_password_makes_a_login_on_a_device_with_a_name_and_again_on_the_same(
    room: Room,
) -> None:
    first = await logged_in(room)
    assert first.refresh_token is not None
    assert first.expires_at is not None
    second = await logged_in(room, first)
    assert second.device_id == first.device_id
    assert await whoami(room.synapse, second.value) == 200
    assert second.value not in repr(second)
    hands = Human(room.synapse.base_url, replace(room.bot, access_token=second.value))
    devices = (await hands.ask("GET", path("devices"))).body["devices"]
    names = {device["device_id"]: device["display_name"] for device in devices}
    assert len(names) == 2  # the harness's own login, and ours
    assert names[second.device_id].startswith("fleetchatd on ")


async def test_a_token_from_elsewhere_is_a_login_if_it_is_the_right_accounts(room: Room) -> None:
    login = await guide.login(room.settings, Credential("token", room.bot.access_token), None)
    assert login.who == room.bot.user_id
    token, device_id = room.bot.access_token, room.bot.device_id
    assert login.secret == Secret(token, device_id=device_id, servers=(room.synapse.base_url,))


async def test_what_is_refused_says_why_and_what_to_do(room: Room) -> None:
    settings, human = room.settings, room.human
    password = Credential("password", room.bot.password)
    capital = {"user_id": room.bot.user_id.replace("@u", "@U")}
    for changed, credential, words in (
        ({}, Credential("password", "Geheim99"), "refuses the password.*; check it"),
        ({"user_id": "@no:fleet.test"}, password, "cannot log in as @no:fleet.test: .*refuses"),
        (capital, password, f"this is {room.bot.user_id}; use that as connector.matrix.user_id"),
        ({}, Credential("password", "\udce4"), "not UTF-8; "),
        ({}, Credential("token", "Geheim99"), "does not know that token.*once more for another"),
        ({}, Credential("token", human.account.access_token), f"this is {human.user_id}; use"),
        ({}, Credential("token", "Geheim\r\n99"), "no access token.*; give the bare token"),
        ({"homeserver_url": "http://127.0.0.1:9"}, password, "Connection refused; see that"),
    ):
        with pytest.raises(SetupError, match=words) as refused:
            await guide.login(settings | changed, credential, None)
        assert "Geheim" not in str(refused.value)
        assert room.bot.password not in str(refused.value)
    # What came of the capital letter was no login to keep.
    devices = (await room.bot_hands.ask("GET", path("devices"))).body["devices"]
    assert len(devices) == 1


async def test_logging_out_ends_the_token_and_may_be_repeated(room: Room) -> None:
    secret = await logged_in(room)
    await guide.logout(room.settings, secret)
    assert await whoami(room.synapse, secret.value) == 401
    await guide.logout(room.settings, secret)
    with pytest.raises(SetupError, match=r"cannot log out: cannot reach the homeserver: .*; "):
        await guide.logout(room.settings, replace(secret, servers=("http://127.0.0.1:9",)))


async def test_an_expired_login_is_renewed_by_looking_at_it_and_ended_by_logging_out(
    strict: Synapse, make_room: MakeRoom
) -> None:
    room = await make_room(strict)
    first = await logged_in(room)
    kept = Kept(first)
    await _refused(room, first.value)
    found = await examined(guide, room.settings, kept)
    assert amiss(found) == []
    assert any("had expired and was renewed" in one.what for one in found)
    assert kept.secret is not None
    await _refused(room, kept.secret.value)
    await guide.logout(room.settings, kept.secret)
    (line,) = amiss(await examined(guide, room.settings, kept))
    assert "M_UNKNOWN_TOKEN" in line
    devices = (await room.bot_hands.ask("GET", path("devices"))).body["devices"]
    assert [device["device_id"] for device in devices] == [room.bot.device_id]


async def test_an_expired_login_that_several_look_at_is_renewed_once_for_all(
    strict: Synapse, make_room: MakeRoom, tmp_path: Path
) -> None:
    """Synapse withdraws the first successor when the same token is exchanged again."""
    room = await make_room(strict)
    first = await logged_in(room)
    store_login(TOKEN, tmp_path, first)
    await _refused(room, first.value)

    async def look() -> list[Finding]:
        return [found async for found in guide.examine(room.settings, context_for(None, tmp_path))]

    found = await asyncio.gather(*(look() for _ in range(5)))
    assert [amiss(findings) for findings in found] == [[]] * 5
    assert await whoami(strict, read_secret(TOKEN, tmp_path, {}).value) == 200


async def test_after_too_many_wrong_passwords_it_says_how_long_to_wait(
    strict: Synapse, make_room: MakeRoom
) -> None:
    room = await make_room(strict)
    wrong = Credential("password", "wrong")
    for words in ("refuses the password", r"too many requests; try again in \d+ s"):
        with pytest.raises(SetupError, match=words):
            await guide.login(room.settings, wrong, None)


async def test_where_no_password_will_do_it_says_how_to_come_by_a_token(
    own_synapse: StartSynapse, make_room: MakeRoom
) -> None:
    room = await make_room(await own_synapse(password_config={"enabled": False}))
    with pytest.raises(SetupError, match=r"takes no password .*Help & About.*--token-stdin"):
        await guide.login(room.settings, Credential("password", room.bot.password), None)
    (line,) = amiss(await examined(guide, room.settings))
    assert re.match(r"warning .*takes no password.*Help & About.*\[matrix_access_token\]", line)


async def test_a_daemon_at_work_goes_on_with_a_new_login_once_the_old_one_has_expired(
    strict: Synapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    """Synapse leaves the old token in force until it expires, although the device is the same."""
    room = await make_room(strict)
    daemon = make_daemon(room)
    daemon.env = {}
    first = await logged_in(room)
    store_login(TOKEN, daemon.state_dir, first)
    await daemon.start()
    await daemon.api.wait_health(lambda health: health["status"] == "ok")
    second = await logged_in(room, first)
    assert second.device_id == first.device_id
    store_login(TOKEN, daemon.state_dir, second)
    await _refused(room, first.value)
    await _converse(daemon, room)
    stored = read_secret(TOKEN, daemon.state_dir, {})
    assert stored.device_id == second.device_id
    assert stored.value != first.value


@pytest.mark.parametrize("told", ["at once", "late"])
async def test_a_daemon_at_work_goes_on_with_a_new_login_on_a_server_that_ends_the_old_one(
    conduit: FakeMatrixRoom, make_daemon: MakeDaemon, told: str
) -> None:
    """The file with the new login comes after the old token has been refused, or before."""
    daemon = make_daemon(conduit)
    daemon.env = {}
    first = await logged_in(conduit)
    store_login(TOKEN, daemon.state_dir, first)
    await daemon.start()
    await daemon.api.wait_health(lambda health: health["status"] == "ok")
    second = await logged_in(conduit, first)
    assert second.device_id == first.device_id
    if told == "late":
        await conduit.human.say("ends the poll that still runs")
        await daemon.api.wait_health(lambda health: health["status"] == "down")
    store_login(TOKEN, daemon.state_dir, second)
    await _converse(daemon, conduit)


async def _refused(room: Room, token: str) -> None:
    async def refused() -> bool:
        return await whoami(room.synapse, token) == 401

    await eventually("the token has expired", refused)


async def _converse(daemon: Daemon, room: Furnished) -> None:
    """Something gets through each way, without a reload."""
    await room.human.say("do you hear me?")

    async def heard() -> bool:
        return "do you hear me?" in [item["text"] for item in await daemon.api.history()]

    await eventually("the daemon hears", heard, timeout_s=40)
    sent = await daemon.api.send("I do")
    assert (await daemon.api.final(sent["id"], timeout_s=40))["state"] == "delivered"
    assert await room.said_by_bot() == ["I do"]
