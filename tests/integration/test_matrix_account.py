"""Tokens on a real Synapse: wrong, missing, revoked, expired, and another login's."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import stat
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.harness.daemon import Daemon, Death
from tests.harness.human import Account
from tests.harness.rooms import MakeDaemon, MakeRoom, Room, StartSynapse

SEND = "fleetchatd.connectors.matrix.connector:MatrixConnector.send"
TOKEN = "matrix_access_token"
LIFETIME_S = 1.2
"""A little longer than the tokens live: the server's clock cannot be moved."""


def credentials(daemon: Daemon, account: Account | str) -> None:
    """Put a secret where systemd would; a running daemon reads it at its next reload."""
    folder = daemon.directory / "credentials"
    folder.mkdir(exist_ok=True)
    secret = account if isinstance(account, str) else account.access_token
    (folder / TOKEN).write_text(secret)
    daemon.env = {"CREDENTIALS_DIRECTORY": str(folder)}


def login_json(account: Account) -> str:
    """What the homeserver answered to the login, as a secret may be given."""
    return json.dumps(
        {
            "access_token": account.access_token,
            "refresh_token": account.refresh_token,
            "device_id": account.device_id,
        }
    )


async def until(daemon: Daemon, status: str, detail: str = "") -> None:
    await daemon.api.wait_health(
        lambda health: (
            health["status"] == status and re.search(detail, health["connector"]["detail"] or "")
        )
    )


async def test_a_wrong_accounts_token_is_named_and_loses_nothing_until_it_is_mended(
    room: Room, make_daemon: MakeDaemon
) -> None:
    other = await room.synapse.register()
    daemon = make_daemon(room)
    credentials(daemon, other)
    await daemon.start()
    await until(daemon, "down", rf"{re.escape(other.user_id)}.*{re.escape(room.bot.user_id)}")
    connector = (await daemon.api.health())["connector"]
    assert connector["reachable"]
    assert not connector["authenticated"]
    sent = await daemon.api.send("kept")
    credentials(daemon, room.bot)
    assert (await daemon.api.reload()).status == 200
    assert (await daemon.api.final(sent["id"]))["state"] == "delivered"
    await until(daemon, "ok")
    assert await room.said_by_bot() == ["kept"]


async def test_without_a_token_there_is_nothing_to_run(room: Room, make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(room)
    daemon.env = {}
    daemon.spawn()
    assert await daemon.ended() == 78
    assert "matrix_access_token" in daemon.log_text


async def test_a_revoked_token_is_replaced_by_a_reload(room: Room, make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(room)
    credentials(daemon, room.bot)
    await daemon.start()
    await until(daemon, "ok")
    async with daemon.api.events(subscriber="mos", types="message") as stream:
        await room.synapse.logout(room.bot)
        await until(daemon, "down", "M_UNKNOWN_TOKEN.*and reload")
        connector = (await daemon.api.health())["connector"]
        assert not connector["receiving"]
        assert not connector["authenticated"]
        sent = await daemon.api.send("waits")
        await room.human.say("said meanwhile")
        credentials(daemon, await room.synapse.login(room.bot))
        assert (await daemon.api.reload()).status == 200
        assert (await daemon.api.final(sent["id"]))["state"] == "delivered"
        assert (await stream.next())["text"] == "said meanwhile"
    assert room.bot.access_token not in daemon.log_text


async def test_a_new_token_in_its_file_is_taken_up_without_a_reload_once_the_old_one_is_refused(
    room: Room, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(room)
    credentials(daemon, room.bot)
    await daemon.start()
    await until(daemon, "ok")
    credentials(daemon, await room.synapse.login(room.bot))
    await room.synapse.delete_device(room.bot)
    assert (await daemon.api.send("hello", wait_s=40))["state"] == "delivered"


async def test_expiring_tokens_are_renewed_for_ever_and_over_restarts(
    own_synapse: StartSynapse, make_room: MakeRoom, make_daemon: MakeDaemon
) -> None:
    synapse = await own_synapse(refreshable_access_token_lifetime="1s")
    room = await make_room(synapse)
    login = await synapse.login(room.bot, refresh_token=True)
    daemon = make_daemon(room)
    daemon.env = {"MATRIX_ACCESS_TOKEN": login_json(login)}
    await daemon.start()
    await until(daemon, "ok")
    stored = daemon.state_dir / "logins" / f"{TOKEN}.json"
    async with daemon.api.events(subscriber="mos", types="message,connector") as stream:
        # A poll answers at the next event, and what comes after it meets an expired token.
        for number in range(2):
            await asyncio.sleep(LIFETIME_S)
            await room.human.say(f"heard {number}")
            assert (await stream.next())["text"] == f"heard {number}"
            assert (await daemon.api.send(f"said {number}", wait_s=20))["state"] == "delivered"
    assert daemon.log_text.count("the access token was renewed") >= 2
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert stat.S_IMODE(stored.parent.stat().st_mode) == 0o700
    await daemon.kill()
    await asyncio.sleep(LIFETIME_S)
    # Killed with the new token in its hands: until that is used, the server takes the old one.
    daemon.death = Death("before", "fleetchatd.secrets:store_login", 1)
    daemon.spawn()
    await daemon.ended()
    daemon.death = None
    await daemon.start()
    await until(daemon, "ok")
    assert (await daemon.api.send("said 2", wait_s=20))["state"] == "delivered"
    assert await room.said_by_bot() == ["said 0", "said 1", "said 2"]
    renewed = json.loads(stored.read_text())
    for token in (login.access_token, renewed["access_token"], renewed["refresh_token"]):
        assert token not in daemon.log_text


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_after_a_new_login_an_ambiguous_message_is_in_the_room_once(
    room: Room, make_daemon: MakeDaemon, moment: str
) -> None:
    """Killed before the request left, or after the server had it and nobody had noted that."""
    daemon = make_daemon(room)
    daemon.death = Death("before" if moment == "before" else "after", SEND, 2)
    await daemon.start()
    await until(daemon, "ok")
    assert (await daemon.api.send("first", wait_s=20))["state"] == "delivered"
    dying = daemon.ended()
    sending = daemon.api.send_surely("second", key="second")
    sent, _ = await asyncio.gather(sending, _revived(room, daemon, dying))
    assert (await daemon.api.final(sent["id"]))["state"] == "delivered"
    assert (await daemon.api.send("third", wait_s=20))["state"] == "delivered"
    assert await room.said_by_bot() == ["first", "second", "third"]


async def _revived(room: Room, daemon: Daemon, dying: Awaitable[int]) -> None:
    """Once it has died: much is said, and it starts again with another login."""
    await dying
    daemon.death = None
    for number in range(12):
        await room.human.say(f"meanwhile {number}")
    await room.synapse.logout(room.bot)
    daemon.env = {"MATRIX_ACCESS_TOKEN": (await room.synapse.login(room.bot)).access_token}
    await daemon.start()


async def test_an_attempt_of_the_day_before_yesterday_is_looked_up(
    room: Room, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(room)
    daemon.death = Death("after", SEND, 1)
    await daemon.start()
    await until(daemon, "ok")
    with suppress(aiohttp.ClientError):  # it may die before it has answered
        await daemon.api.send("once", key="once")
    await daemon.ended()
    daemon.death = None
    _grow_older(daemon.state_dir / "journal.db", 2 * 86400)
    # Synapse remembers for a day: that it is not asked is what shows that we looked.
    await room.human.set_state("m.room.power_levels", {"events_default": 50})
    await daemon.start()
    sent = await daemon.api.send("once", key="once")
    final = await daemon.api.final(sent["id"])
    assert final["state"] == "delivered"
    assert await room.said_by_bot() == ["once"]


def _grow_older(journal: Path, seconds: float) -> None:
    """Move the marks of all attempts into the past."""
    with sqlite3.connect(journal) as database:
        rows = database.execute("SELECT ord, attempt FROM messages WHERE attempt IS NOT NULL")
        marks = [(order, json.loads(mark)) for order, mark in rows.fetchall()]
        assert marks
        for order, mark in marks:
            older = json.dumps(mark | {"at": mark["at"] - seconds})
            database.execute("UPDATE messages SET attempt = ? WHERE ord = ?", (older, order))
    database.close()
