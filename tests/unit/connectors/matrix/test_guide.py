"""Setting up Matrix against a scripted homeserver: Conduit's answers, and hostile ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fleetchatd.connectors.guide import Credential
from fleetchatd.connectors.matrix.guide import MatrixGuide
from fleetchatd.errors import SetupError
from fleetchatd.model import Secret
from tests.fakes import faults
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.guides import Kept, amiss, examined

guide = MatrixGuide()

DEEP: Any = b'{"a":' * 100_000


def password(room: FakeMatrixRoom) -> Credential:
    return Credential("password", room.bot.password)


async def login(room: FakeMatrixRoom, earlier: Secret | None = None) -> Secret:
    return (await guide.login(room.settings, password(room), earlier)).secret


async def test_on_conduit_it_logs_in_looks_and_logs_out(conduit: FakeMatrixRoom) -> None:
    secret = await login(conduit)
    settings = conduit.settings | {"allowed_senders": [conduit.human.user_id]}
    assert amiss(await examined(guide, settings, secret)) == []
    again = await login(conduit, secret)
    assert again.device_id == secret.device_id
    await guide.logout(conduit.settings, again)
    (line,) = amiss(await examined(guide, settings, again))
    assert "M_UNKNOWN_TOKEN" in line


async def test_a_login_is_looked_at_used_again_and_ended_at_its_own_homeserver_alone(
    fake: FakeMatrixRoom, conduit: FakeMatrixRoom
) -> None:
    theirs = await login(conduit)
    elsewhere = "https://matrix.example.org"
    off_this_machine = replace(theirs, servers=(elsewhere,))
    (line,) = amiss(await examined(guide, fake.settings, off_this_machine))
    for word in (elsewhere, fake.server.base_url, "log in there: fleetchat login"):
        assert word in line
    ours = await login(fake, theirs)
    assert ours.device_id != theirs.device_id
    await guide.logout(fake.settings, theirs)
    assert theirs.value not in {call.token for call in fake.server.calls}
    assert len(conduit.server.calls_to("POST", "*/logout")) == 1


async def test_on_conduit_an_expired_login_is_renewed_and_logged_out(
    conduit: FakeMatrixRoom,
) -> None:
    """There, an expired token is not told apart from an unknown one."""
    kept = Kept(await login(conduit))
    logins = conduit.server.world.logins
    logins[-1].state = "expired"
    found = await examined(guide, conduit.settings, kept)
    assert amiss(found) == []
    assert any("had expired and was renewed" in one.what for one in found)
    logins[-1].state = "expired"
    assert kept.secret is not None
    await guide.logout(conduit.settings, kept.secret)
    assert [login.state for login in logins[-1:]] == ["gone"]
    await guide.logout(conduit.settings, kept.secret)


async def test_who_left_on_conduit_is_told_so(conduit: FakeMatrixRoom) -> None:
    conduit.room.kick(conduit.bot.user_id, "out")
    (line,) = amiss(await examined(guide, conduit.settings, conduit.bot.access_token))
    assert re.match(r"error .*has left it \(out\) -> invite it again \[room_id\]", line)


@pytest.mark.parametrize("path", ["*/versions", "*/whoami", "*/sync", "*/members", "*/room/*"])
@pytest.mark.parametrize(
    "action",
    [
        faults.reply([]),
        faults.reply({}),
        faults.reply({"user_id": 7, "versions": {}, "rooms": [], "chunk": "x", "room_id": "!\n"}),
        faults.reply({"next_batch": "1", "rooms": {"join": 7, "invite": []}}),
        faults.body(DEEP),
        faults.body(b"\xff\xfe"),
        faults.html(502),
        faults.html(404),
        faults.drop(),
        faults.refuse(403, "M_FORBIDDEN", "a\n\x1b[2J\u202e" + "b" * 1000),
        faults.refuse(401, "M_USER_LOCKED", "locked"),
        faults.refuse(429, "M_LIMIT_EXCEEDED", "slow", retry_after_ms=1000),
    ],
)
async def test_whatever_a_server_answers_it_is_told_on_a_line(
    fake: FakeMatrixRoom, path: str, action: faults.Action
) -> None:
    fake.server.world.aliases["#fleet:fleet.test"] = fake.room_id
    fake.server.fail("GET", path, action, times=None)
    settings = fake.settings | {"room_id": "#fleet:fleet.test"}
    lines = amiss(await examined(guide, settings, fake.bot.access_token))
    assert len(lines) == 1, lines


async def test_a_homeserver_that_is_down_behind_its_proxy_is_not_taken_for_another_url(
    fake: FakeMatrixRoom,
) -> None:
    fake.server.fail("GET", "*/versions", faults.html(502), times=None)
    (line,) = amiss(await examined(guide, fake.settings, fake.bot.access_token))
    assert re.match(r"error .* answers 502: the homeserver behind it does not run.* -> start", line)


@pytest.mark.parametrize("path", ["*/whoami", "*/sync", "*/members", "*/room/*"])
async def test_no_servers_words_are_taken_for_a_remedy(fake: FakeMatrixRoom, path: str) -> None:
    fake.server.world.aliases["#fleet:fleet.test"] = fake.room_id
    fake.server.fail("GET", path, faults.refuse(403, "M_X", "no; run `evil`"), times=None)
    settings = fake.settings | {"room_id": "#fleet:fleet.test"}
    for one in await examined(guide, settings, fake.bot.access_token):
        assert "evil" not in (one.remedy or "")


async def test_a_member_list_that_lies_has_nobody_in_it(fake: FakeMatrixRoom) -> None:
    event = {"type": "m.room.member", "state_key": "\ud800", "content": {"membership": "join"}}
    chunk = [event, 7, {"type": "m.room.member"}, {**event, "state_key": ["x"]}]
    fake.server.fail("GET", "*/members", faults.reply({"chunk": chunk}))
    (line,) = amiss(await examined(guide, fake.settings, fake.bot.access_token))
    assert line.startswith("warning nobody is in the room")


async def test_a_name_that_leads_nowhere_is_told(fake: FakeMatrixRoom) -> None:
    for name in ("127.0.0.1:9", "[:::::]", "h.test:99999"):
        (line,) = amiss(await examined(guide, {"homeserver_url": name}))
        assert re.match(r"error cannot look up .*\[homeserver_url\]", line)


# -- logging in -----------------------------------------------------------------------------------


def changed(**fields: object) -> Callable[[Any], None]:
    def change(answer: dict[str, object]) -> None:
        answer |= fields

    return change


@pytest.mark.parametrize(
    ("method", "path", "action", "words"),
    [
        ("GET", "*/login", faults.reply({"flows": [{"type": "m.login.sso"}]}), "takes no password"),
        ("GET", "*/login", faults.html(404), "as no homeserver does; see that connector.matrix.ho"),
        ("POST", "*/login", faults.drop(), "cannot reach the homeserver: .*; see that"),
        ("POST", "*/login", faults.html(502), "answered 502 and no JSON object.*; "),
        ("POST", "*/login", faults.refuse(403, "M_USER_DEACTIVATED", "gone"), "M_USER_DEACT.*; "),
        ("POST", "*/login", faults.refuse(429, "M_LIMIT_EXCEEDED", "slow"), "again in a minute"),
        (
            "POST",
            "*/login",
            faults.refuse(429, "M_LIMIT_EXCEEDED", "slow", retry_after_ms=90_000),
            "try again in 90 s",
        ),
        ("POST", "*/login", faults.reply({}), "without an access token"),
        (
            "POST",
            "*/login",
            faults.rewrite(changed(access_token="a b")),
            "without an access token",
        ),
        ("GET", "*/whoami", faults.reply({}), "this is nobody; use that"),
        ("GET", "*/whoami", faults.refuse(500), "answered 500 M_UNKNOWN: scripted; see its admin"),
    ],
)
async def test_a_login_that_fails_says_why_and_what_to_do(
    fake: FakeMatrixRoom, method: str, path: str, action: faults.Action, words: str
) -> None:
    logins = len(fake.server.world.logins)
    fake.server.fail(method, path, action, times=None)
    with pytest.raises(SetupError, match=words) as refused:
        await login(fake)
    assert str(refused.value).startswith(f"cannot log in as {fake.bot.user_id}: ")
    assert "; " in str(refused.value)
    if path == "*/whoami":  # it had been logged in, and nobody would ever have known
        assert fake.server.world.logins[logins].state == "gone"


async def test_a_server_that_repeats_the_password_is_not_quoted(fake: FakeMatrixRoom) -> None:
    secret = fake.bot.password
    fake.server.fail("POST", "*/login", faults.refuse(400, "M_UNKNOWN", f"'{secret}' is bad"))
    with pytest.raises(SetupError, match="'…' is bad") as refused:
        await login(fake)
    assert secret not in str(refused.value)
    assert secret not in repr(password(fake))


async def test_nothing_is_kept_of_a_refresh_token_that_no_request_could_carry(
    fake: FakeMatrixRoom,
) -> None:
    odd = faults.rewrite(changed(refresh_token="a\r\nb", expires_in_ms="soon"))
    fake.server.fail("POST", "*/login", odd)
    secret = await login(fake)
    assert secret.refresh_token is None
    assert secret.expires_at is None


async def test_a_logout_that_is_refused_says_so(fake: FakeMatrixRoom) -> None:
    fake.server.fail("POST", "*/logout", faults.refuse(500))
    with pytest.raises(SetupError, match=r"cannot log out: .*500.*; "):
        await guide.logout(fake.settings, Secret(fake.bot.access_token))
