"""Tokens: whose they are, what happens when one is refused, and what may never happen then."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetchatd.errors import SendDeferred
from fleetchatd.model import Secret
from tests.fakes import faults
from tests.fakes.homeserver import FakeMatrixRoom
from tests.fakes.world import Login
from tests.unit.connectors.matrix.wired import Wired, part, wire

ELSEWHERE = "https://matrix.example.org"


def login_again(room: FakeMatrixRoom, *, refreshable: bool = True) -> Secret:
    """A new login of the bot, as a secret."""
    return secret_of(room.server.world.log_in(room.bot.user_id, refreshable=refreshable))


def secret_of(login: Login) -> Secret:
    account = login.account
    return Secret(account.access_token, refresh_token=account.refresh_token)


def refreshable(room: FakeMatrixRoom, state_dir: Path) -> Wired:
    wired = wire(room, state_dir)
    wired.keyring.secret = login_again(room)
    return Wired(room.settings, wired.keyring, state_dir, wired.inbox)


async def test_an_expired_token_is_renewed_and_kept_before_it_is_used(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = refreshable(fake, tmp_path)
    async with wired.receiving():
        login = fake.server.world.logins[-1]
        for number in (1, 2):
            uses = len(fake.server.calls)
            login.state = "expired"
            fake.server.world.happened()
            await wired.until(lambda number=number: len(wired.keyring.stored) == number)  # type: ignore[misc]
            await fake.human.say(f"after {number}")
            await wired.until(lambda number=number: f"after {number}" in wired.inbox.texts)  # type: ignore[misc]
            assert wired.keyring.stored[-1].value == login.account.access_token
            assert len(fake.server.calls) - uses < 20
        sent = await wired.connector.send(part("hello"))
        assert fake.room.event(sent.remote_id)["sender"] == fake.bot.user_id
    assert [health.status for health in wired.told] == ["ok"]


async def test_a_token_that_cannot_be_kept_is_not_used(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = refreshable(fake, tmp_path)
    async with wired.receiving():
        wired.keyring.broken = True
        fake.server.world.logins[-1].state = "expired"
        fake.server.world.happened()
        await wired.until_status("down")
        unused = fake.server.world.logins[-1].account.access_token
        assert not [call for call in fake.server.calls if call.token == unused]
        wired.keyring.broken = False
        await wired.until_status("ok")
    assert len(fake.server.calls_to("POST", "*/refresh")) == 1


@pytest.mark.parametrize("lifetime", [None, "soon", -1, 10**400, True])
async def test_whatever_stands_beside_a_renewed_token_it_is_used(
    fake: FakeMatrixRoom, tmp_path: Path, lifetime: Any
) -> None:
    def change(answer: dict[str, Any]) -> None:
        answer |= {"expires_in_ms": lifetime, "refresh_token": lifetime}

    wired = refreshable(fake, tmp_path)
    fake.server.fail("POST", "*/refresh", faults.rewrite(change))
    fake.server.world.logins[-1].state = "expired"
    async with wired.receiving():
        assert wired.keyring.stored[0].refresh_token, "the old one stays in force"


async def test_a_renewed_token_says_when_it_ends(fake: FakeMatrixRoom, tmp_path: Path) -> None:
    wired = refreshable(fake, tmp_path)
    fake.server.world.logins[-1].state = "expired"
    async with wired.receiving():
        left_s = (wired.keyring.stored[0].expires_at or 0) - time.time()
        assert 250 < left_s <= 300


async def test_a_refused_refresh_token_puts_it_down_until_there_is_another_login(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = refreshable(fake, tmp_path)
    async with wired.receiving():
        fake.server.world.logins[-1].state = "gone"
        fake.server.world.happened()
        health = await wired.until_status("down")
        assert "M_UNKNOWN_TOKEN" in (health.detail or "")
        assert "and reload" in (health.detail or "")
        assert not health.authenticated
        await fake.human.say("waits")
        with pytest.raises(SendDeferred):
            await wired.connector.send(part("too early"))
        wired.keyring.secret = login_again(fake)
        await wired.until_status("ok")
        await wired.until_said("waits")
        await wired.connector.send(part("now"))
    assert await fake.said_by_bot() == ["now"]


async def test_another_login_that_has_expired_meanwhile_is_renewed_first(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = wire(fake, tmp_path)
    async with wired.receiving():
        wired.keyring.secret = login_again(fake)
        fake.server.world.logins[-1].state = "expired"
        fake.server.revoke_token(fake.bot)
        await wired.until(lambda: wired.keyring.stored)
        await fake.human.say("hello")
        await wired.until_said("hello")


@pytest.mark.parametrize("expired", [False, True])
async def test_another_accounts_login_is_never_worked_with(
    fake: FakeMatrixRoom, tmp_path: Path, expired: bool
) -> None:
    """Its echoes would be taken for a human's words."""
    wired = wire(fake, tmp_path)
    async with wired.receiving():
        stranger = fake.server.add_user("eve")
        login = fake.server.world.log_in(stranger.user_id, refreshable=True)
        wired.keyring.secret = secret_of(login)
        login.state = "expired" if expired else "live"
        fake.server.revoke_token(fake.bot)
        health = await wired.until_status("down")
        await wired.until(lambda: stranger.user_id in (wired.health.detail or ""))
        assert not health.authenticated
        token = login.account.access_token
        calls = [call for call in fake.server.calls if call.token == token]
        assert {call.parts[-1] for call in calls} == {"whoami"}
        wired.keyring.secret = login_again(fake, refreshable=False)
        await wired.until_status("ok")


async def test_a_login_is_shown_to_no_other_homeserver(
    fake: FakeMatrixRoom, conduit: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = wire(fake, tmp_path)
    elsewhere = Secret(conduit.bot.access_token, servers=(ELSEWHERE,))
    wired.keyring.secret = elsewhere
    wired = Wired(fake.settings, wired.keyring, tmp_path)
    async with wired.receiving("down"):
        assert not wired.health.authenticated
        for word in (ELSEWHERE, fake.server.base_url, "run `fleetchat login matrix`"):
            assert word in (wired.health.detail or "")
        await wired.until(lambda: wired.pauses.failures > 3)
        assert fake.server.calls == []
        wired.keyring.secret = login_again(fake)
        await wired.until_status("ok")
        # And one that has come in its place is neither shown nor written over.
        wired.keyring.secret = elsewhere
        fake.server.world.logins[-1].state = "expired"
        with pytest.raises(SendDeferred):
            await wired.connector.send(part("waits"))
        assert ELSEWHERE in (wired.health.detail or "")
        await wired.until_status("down")
    assert wired.keyring.secret == elsewhere
    assert conduit.bot.access_token not in {call.token for call in fake.server.calls}


async def test_on_this_machine_a_login_goes_where_its_homeserver_has_moved(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = wire(fake, tmp_path)
    wired.keyring.secret = replace(login_again(fake), servers=("http://localhost:1",))
    async with Wired(fake.settings, wired.keyring, tmp_path).receiving():
        pass


async def test_a_name_that_leads_to_a_logins_homeserver_is_as_good_as_its_url(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = wire(fake, tmp_path)
    servers = ("fleet.example", f"{fake.server.base_url.upper()}/")
    wired.keyring.secret = replace(login_again(fake), servers=servers)
    async with Wired(fake.settings, wired.keyring, tmp_path).receiving():
        pass


async def test_a_token_of_another_account_is_named(fake: FakeMatrixRoom, tmp_path: Path) -> None:
    stranger = fake.server.add_user("eve")
    wired = wire(fake, tmp_path, user_id="@mos:fleet.test")
    wired.keyring.secret = Secret(stranger.access_token)
    wired = Wired(dict(fake.settings) | {"user_id": "@mos:fleet.test"}, wired.keyring, tmp_path)
    async with wired.receiving("down"):
        assert wired.health.reachable
        assert not wired.health.authenticated
        for name in ("@eve:fleet.test", "@mos:fleet.test"):
            assert name in (wired.health.detail or "")


async def test_a_send_that_meets_a_refused_token_waits_for_the_renewed_one(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = refreshable(fake, tmp_path)
    async with wired.receiving():
        held = fake.server.hold("GET", "*/sync")
        await fake.human.say("wakes the poll")
        await held.reached()
        fake.server.world.logins[-1].state = "expired"
        message = part("hello")
        with pytest.raises(SendDeferred):
            await wired.connector.send(message)
        assert wired.health.status == "ok"
        await wired.connector.send(message)
        held.release()
        fake.server.mend()
        await wired.until_said("wakes the poll")
    assert len(fake.server.calls_to("POST", "*/refresh")) == 1
    assert await fake.said_by_bot() == ["hello"]


@pytest.mark.parametrize("errcode", ["M_USER_LOCKED", "M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"])
async def test_an_account_that_is_refused_needs_a_person(
    fake: FakeMatrixRoom, tmp_path: Path, errcode: str
) -> None:
    fake.server.fail("GET", "*/whoami", faults.refuse(401, errcode, "no more"), times=None)
    async with wire(fake, tmp_path).receiving("down") as wired:
        assert f"{errcode}: no more" in (wired.health.detail or "")
        fake.server.mend()
        await wired.until_status("ok")


async def test_a_token_that_is_gone_from_its_place_is_used_on(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = refreshable(fake, tmp_path)
    async with wired.receiving():
        wired.keyring.secret = None
        fake.server.world.logins[-1].state = "expired"
        fake.server.world.happened()
        await wired.until(lambda: wired.keyring.stored)
        await fake.human.say("hello")
        await wired.until_said("hello")


async def test_a_server_that_passes_out_no_token_is_asked_again(
    fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    wired = refreshable(fake, tmp_path)
    fake.server.fail("POST", "*/refresh", faults.refuse(500), nth=1)
    fake.server.fail("POST", "*/refresh", faults.reply({"access_token": 7}), nth=2)
    fake.server.world.logins[-1].state = "expired"
    async with wired.receiving():
        assert len(fake.server.calls_to("POST", "*/refresh")) == 3
