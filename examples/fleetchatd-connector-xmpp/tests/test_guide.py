from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fleetchatd.connectors.base import Context
from fleetchatd.connectors.guide import Credential, Finding, Guide, LogsIn
from fleetchatd.errors import SetupError
from fleetchatd.model import Secret

from fleetchatd_connector_xmpp.connector import XmppConnector
from person import Person
from prosody import HOST, PASSWORD, ROOM, Prosody

guide = XmppConnector.guide


def settings(server: Prosody, **other: Any) -> dict[str, Any]:
    return {"jid": f"mos@{HOST}", "room": ROOM, "server": server.address, **other}


async def findings(block: dict[str, Any], folder: Path, password: str = PASSWORD) -> list[Finding]:
    context = Context(
        orchestrator="mos",
        host="alpha",
        state_dir=folder,
        secret=lambda _: Secret(password),
        store_secret=lambda *_: None,
        health_changed=lambda: None,
    )
    return [finding async for finding in guide.examine(block, context)]


async def test_all_is_well_in_a_room_that_can_be_used(
    ann: Person, server: Prosody, tmp_path: Path
) -> None:
    assert isinstance(guide, Guide)
    assert isinstance(guide, LogsIn)
    found = await findings(settings(server), tmp_path)
    assert [finding.level for finding in found] == ["ok", "ok"]


async def test_what_is_wrong_is_found_with_its_remedy(
    ann: Person, server: Prosody, tmp_path: Path
) -> None:
    missing = settings(server, room=f"elsewhere@rooms.{HOST}")
    for block, password, about in (
        (settings(server), "wrong", "xmpp_password"),
        (missing, PASSWORD, "room"),
    ):
        *_, error = await findings(block, tmp_path, password)
        assert (error.level, error.about, bool(error.remedy)) == ("error", about, True)


async def test_a_login_is_a_password_that_the_server_takes(server: Prosody) -> None:
    login = await guide.login(settings(server), Credential("password", PASSWORD), None)
    assert (login.secret.value, login.who) == (PASSWORD, f"mos@{HOST}")
    with pytest.raises(SetupError, match="password"):
        await guide.login(settings(server), Credential("password", "wrong"), None)
