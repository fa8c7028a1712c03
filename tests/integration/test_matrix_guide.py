"""Setting up Matrix on a real Synapse: what is found, logging in and out, a room of our own."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from fleetchatd.connectors.guide import Credential, LogsIn, MakesRoom
from fleetchatd.connectors.matrix.connector import MatrixConnector
from fleetchatd.connectors.matrix.guide import MatrixGuide
from fleetchatd.errors import SetupError
from fleetchatd.model import Secret
from fleetchatd.secrets import read_secret, store_login
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.daemon import Daemon
from tests.harness.guides import Kept, amiss, examined
from tests.harness.human import Account, Human
from tests.harness.matrix_http import path
from tests.harness.rooms import Furnished, MakeDaemon, MakeRoom, Room, StartSynapse
from tests.harness.synapse import Synapse
from tests.harness.tls import Authority, ConnectProxy, tls_in_front_of
from tests.harness.waiting import eventually

TOKEN = "matrix_access_token"

guide = MatrixGuide()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Synapse]:
    """A homeserver where tokens soon expire, and few wrong passwords are too many."""
    server = Synapse(
        tmp_path_factory.mktemp("strict"),
        refreshable_access_token_lifetime="2s",
        rc_login={"failed_attempts": {"per_second": 0.01, "burst_count": 1}},
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


def test_it_helps_with_all_that_there_is() -> None:
    assert isinstance(MatrixConnector.guide, LogsIn)
    assert isinstance(MatrixConnector.guide, MakesRoom)


async def test_where_all_is_well_it_says_so_in_the_order_of_setting_up(room: Room) -> None:
    settings = room.settings | {"allowed_senders": [room.human.user_id]}
    found = await examined(guide, settings, await logged_in(room))
    assert amiss(found) == []
    expected = (
        r"answers$",
        r"clock agrees",
        r"is a Matrix homeserver, up to v1\.\d+",
        rf"logged in as {room.bot.user_id}, device \w+ \(fleetchatd on \S+\)",
        rf"is in room {re.escape(room.room_id)}",
        r"not encrypted; join rule invite, history shared",
        r"may write there",
        rf"in the room beside {room.bot.user_id}: {room.human.user_id}",
        rf"may speak, and is there: {room.human.user_id}",
    )
    assert len(found) == len(expected)
    for finding, pattern in zip(found, expected, strict=True):
        assert re.search(pattern, finding.what), finding


async def test_what_is_missing_is_not_looked_at(room: Room) -> None:
    full = room.settings
    token = room.bot.access_token
    assert await examined(guide, {}, token) == []
    for missing, last in (("user_id", "Matrix homeserver"), ("room_id", "logged in")):
        found = await examined(guide, {k: v for k, v in full.items() if k != missing}, token)
        assert last in found[-1].what
    found = await examined(guide, full)
    assert found[-1].about == TOKEN
    assert "with a password" in found[-1].what


# -- the way --------------------------------------------------------------------------------------

LOOK = """
import asyncio, json, sys
from fleetchatd.connectors.matrix.guide import MatrixGuide
from tests.harness.guides import amiss, examined
found = asyncio.run(examined(MatrixGuide(), {"homeserver_url": sys.argv[1]}))
print(json.dumps([[one.what for one in found], amiss(found)]))
"""


async def looked_from_a_shell(url: str, **environ: str) -> tuple[list[str], list[str]]:
    """What is found of a homeserver by a program that starts with that environment."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOOK, url), env=environ, stdout=PIPE, cwd=Path(__file__).parents[2]
    )
    found, wrong = json.loads((await child.communicate())[0])
    return found, wrong


async def test_the_name_the_certificate_and_the_proxy_on_the_way_are_told(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, ("localhost",))
    context = authority.make()
    plain = urlsplit(fake.server.base_url).port
    assert plain is not None
    async with (
        tls_in_front_of(plain, context) as port,
        ConnectProxy(port).running() as proxy,
    ):
        url = f"https://localhost:{port}"
        fake.server.well_known = {"m.homeserver": {"base_url": url}}
        found, wrong = await looked_from_a_shell(f"localhost:{port}")
        assert len(wrong) == 1
        assert "certificate is not trusted" in wrong[0]
        assert "-> name its authority's certificate in SSL_CERT_FILE" in wrong[0]
        assert "[homeserver_url]" in wrong[0]
        trusting = {"SSL_CERT_FILE": str(authority.certificate)}
        found, wrong = await looked_from_a_shell(f"localhost:{port}", **trusting)
        assert wrong == []
        assert found[0] == f"localhost:{port} leads to {url}"
        assert re.search(rf"{url} answers; its certificate is valid until 20\d\d-", found[1])
        through = {"HTTPS_PROXY": f"http://ann:Geheim99@127.0.0.1:{proxy.port}"}
        found, wrong = await looked_from_a_shell(url, **trusting, **through)
        assert wrong == []
        assert (
            found[0] == f"goes through the proxy 127.0.0.1:{proxy.port} ($HTTPS_PROXY, $NO_PROXY)"
        )
        assert "valid until" in found[1]
        proxy.refuse = "407 Proxy Authentication Required"
        found, (line,) = await looked_from_a_shell(url, **trusting, **through)
        assert "the proxy answered 407" in line
        assert "Geheim99" not in str(found) + line


# -- the room -------------------------------------------------------------------------------------

Trouble = Callable[[Room], Awaitable[Any]]


def state(kind: str, **content: Any) -> Trouble:
    return lambda room: room.human.set_state(kind, content)


@pytest.mark.parametrize(
    ("trouble", "line"),
    [
        (state("m.room.encryption", algorithm="m.megolm.v1.aes-sha2"), r"error .*is encrypted"),
        (state("m.room.join_rules", join_rule="public"), r"error .*allowed_senders in the roster"),
        (
            state("m.room.history_visibility", history_visibility="world_readable"),
            r"error .*world-readable.*\[allowed_senders\]",
        ),
        (lambda room: room.human.upgrade_room("11"), r"error .*replaced by !\S+ -> put the new"),
        (state("m.room.power_levels", events_default=50), r"error .*is 0.*takes 50 -> raise it"),
        (lambda room: room.human.leave(), r"warning nobody is in the room but @\S+ -> join it"),
        (
            lambda room: room.human.kick(room.bot.user_id, "out; of here"),
            r"error .*was kicked by @\S+ \(out; of here\) -> invite it again \[room_id\]",
        ),
        (lambda room: room.human.ban(room.bot.user_id), r"error .*was banned by .*lift the ban"),
        (lambda room: room.bot_hands.leave(), r"error .*has left it -> invite it again"),
    ],
)
async def test_each_trouble_of_a_room_is_named_with_its_remedy(
    room: Room, trouble: Trouble, line: str
) -> None:
    await trouble(room)
    lines = amiss(await examined(guide, room.settings, room.bot.access_token))
    assert any(re.match(line, one) for one in lines), lines
    assert len(lines) == 1 or "encrypted" not in line


async def test_who_is_invited_joins_by_itself_and_is_warned_of_what_comes_then(
    synapse: Synapse, make_room: MakeRoom
) -> None:
    room = await make_room(synapse, joined=False)
    found = await examined(guide, room.settings, room.bot.access_token)
    assert amiss(found) == []
    assert any("joins by itself" in one.what for one in found)
    encrypted = await make_room(synapse, joined=False, encrypted=True)
    lines = amiss(await examined(guide, encrypted.settings, encrypted.bot.access_token))
    assert len(lines) == 1
    assert "is encrypted" in lines[0]
    assert await room.human.state() != []  # it has only looked: nobody joined
    members = {event["state_key"] for event in await room.human.state() if "state_key" in event}
    assert room.bot.user_id in members


@pytest.mark.parametrize("version", ["9", "11", "12"])
async def test_power_counts_in_every_version_of_rooms(
    synapse: Synapse, make_room: MakeRoom, version: str
) -> None:
    room = await make_room(synapse, room_version=version)
    await room.human.set_state(
        "m.room.power_levels",
        {
            "users": ({} if version == "12" else {room.human.user_id: 100})
            | {room.bot.user_id: 20},
            "events": {"m.room.message": 20},
            "events_default": 90,
        },
    )
    found = await examined(guide, room.settings, room.bot.access_token)
    assert amiss(found) == []
    as_creator = room.settings | {"user_id": room.human.user_id}
    found = await examined(guide, as_creator, room.human.account.access_token)
    assert amiss(found) == []


async def test_an_alias_is_followed_and_one_that_leads_nowhere_is_named(
    synapse: Synapse, make_room: MakeRoom
) -> None:
    room = await make_room(synapse, alias="guided")
    token = room.bot.access_token
    found = await examined(guide, room.settings | {"room_id": "#guided:fleet.test"}, token)
    assert amiss(found) == []
    assert any(one.what == f"#guided:fleet.test leads to room {room.room_id}" for one in found)
    (line,) = amiss(await examined(guide, room.settings | {"room_id": "#no:fleet.test"}, token))
    assert line == (
        "error there is no room #no:fleet.test"
        " -> mend connector.matrix.room_id in the roster [room_id]"
    )


async def test_who_may_speak_and_is_not_there_is_named(room: Room) -> None:
    absent = [f"@absent{number}:fleet.test" for number in range(5)]
    settings = room.settings | {"allowed_senders": [room.human.user_id, *absent]}
    (line,) = amiss(await examined(guide, settings, room.bot.access_token))
    assert re.match(r"warning .*: @absent0\S+, @absent1\S+, @absent2\S+ and 2 more", line)
    assert line.endswith("[allowed_senders]")


async def test_a_room_is_made_as_the_daemon_needs_it(room: Room) -> None:
    token = Kept(room.bot.access_token)
    made = await guide.make_room(room.settings, [room.human.user_id], token.context)
    settings = room.settings | dict(made)
    (line,) = amiss(await examined(guide, settings, token))
    assert re.match(
        rf"warning nobody is in .* -> accept the invitation as {room.human.user_id}", line
    )
    await room.human.join(settings["room_id"])
    assert amiss(await examined(guide, settings, token)) == []
    for nobody in ("ann", "@ann", room.bot.user_id):
        with pytest.raises(SetupError, match=rf"cannot invite {nobody}: .*; give one such as"):
            await guide.make_room(room.settings, [nobody], token.context)
    with pytest.raises(SetupError, match=r"cannot make a room: .*M_UNKNOWN_TOKEN"):
        await guide.make_room(room.settings, [room.human.user_id], Kept("junk").context)
    stranger = Kept(room.human.account.access_token)
    with pytest.raises(SetupError, match=f"belongs to {room.human.user_id}"):
        await guide.make_room(room.settings, [room.human.user_id], stranger.context)


# -- the login ------------------------------------------------------------------------------------


async def test_whose_token_it_is_is_looked_at(room: Room) -> None:
    (line,) = amiss(await examined(guide, room.settings, room.human.account.access_token))
    assert re.match(rf"error .*belongs to {room.human.user_id}, and not to.*\[user_id\]", line)
    (line,) = amiss(await examined(guide, room.settings, "junk"))
    assert re.match(r"error .*M_UNKNOWN_TOKEN.*-> log in again: .*\[matrix_access_token\]", line)
    configured = Secret("junk", replaces="the hash of a token in the environment")
    (line,) = amiss(await examined(guide, room.settings, configured))
    assert "$MATRIX_ACCESS_TOKEN" in line


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
    assert login.secret == Secret(room.bot.access_token, device_id=room.bot.device_id)


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
        await guide.logout(room.settings | {"homeserver_url": "http://127.0.0.1:9"}, secret)


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
