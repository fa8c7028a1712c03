"""Setting up Matrix on a real Synapse: what is found, logging in and out, a room of our own."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fleetchatd.connectors import registry
from fleetchatd.connectors.guide import Credential, LogsIn, MakesRoom
from fleetchatd.connectors.matrix.guide import MatrixGuide
from fleetchatd.errors import SetupError
from fleetchatd.model import Secret
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.guides import Kept, amiss, examined
from tests.harness.rooms import MakeRoom, Room
from tests.harness.synapse import Synapse
from tests.harness.tls import Authority, ConnectProxy, tls_in_front_of

TOKEN = "matrix_access_token"

guide = MatrixGuide()


def test_it_helps_with_all_that_there_is() -> None:
    assert isinstance(registry.guide("matrix"), LogsIn)
    assert isinstance(registry.guide("matrix"), MakesRoom)


async def test_where_all_is_well_it_says_so_in_the_order_of_setting_up(room: Room) -> None:
    settings = room.settings | {"allowed_senders": [room.human.user_id]}
    login = await guide.login(settings, Credential("password", room.bot.password), None)
    found = await examined(guide, settings, login.secret)
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
            r"error .*was kicked by @\S+ \(out, of here\) -> invite it again \[room_id\]",
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
    assert re.match(line, lines[0])


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
    state = await room.human.state()
    (ours,) = (event for event in state if event["state_key"] == room.bot.user_id)
    assert ours["content"]["membership"] == "invite", "it was only to look"


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


# -- whose token it is ---------------------------------------------------------------------------


async def test_whose_token_it_is_is_looked_at(room: Room) -> None:
    (line,) = amiss(await examined(guide, room.settings, room.human.account.access_token))
    assert re.match(rf"error .*belongs to {room.human.user_id}, and not to.*\[user_id\]", line)
    (line,) = amiss(await examined(guide, room.settings, "junk"))
    assert re.match(r"error .*M_UNKNOWN_TOKEN.*-> log in again: .*\[matrix_access_token\]", line)
    configured = Secret("junk", replaces="the hash of a token in the environment")
    (line,) = amiss(await examined(guide, room.settings, configured))
    assert "$MATRIX_ACCESS_TOKEN" in line
