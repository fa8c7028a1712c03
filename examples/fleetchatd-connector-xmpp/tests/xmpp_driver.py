"""How fleetchatd's contract suite meets the people of an XMPP room.

PYTHONPATH=tests pytest FLEETCHATD/tests/contract --driver xmpp_driver:XmppDriver
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from fleetchatd.connectors.base import Connector, Context
from fleetchatd.model import Secret

from fleetchatd_connector_xmpp.connector import XmppConnector
from person import Person
from prosody import HOST, PASSWORD, ROOM, Prosody


class Seen(NamedTuple):
    """A message of the orchestrator, as people see it."""

    text: str
    id: str
    thread_id: str | None
    reply_to: str | None


class XmppDriver:
    """Ann, in a room on a Prosody of the test's own."""

    has_replies = True
    has_echo = True
    has_edits = False
    can_break = True

    def __init__(self, server: Prosody) -> None:
        self._server = server
        self._ann = Person(server, "ann")

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[XmppDriver]:
        """A server, a room, and Ann in it."""
        with tempfile.TemporaryDirectory() as folder:
            server = Prosody(Path(folder))
            driver = cls(server)
            with patch.dict(os.environ, SSL_CERT_FILE=str(server.certificate)):
                try:
                    await driver.mend()
                    await driver._ann.let_in("mos")
                    yield driver
                finally:
                    await driver.break_off()

    def secret(self, name: str) -> Secret:
        """What the connector needs to get in."""
        assert name == "xmpp_password"
        return Secret(PASSWORD)

    def connector(self, context: Context) -> Connector:
        """The connector of the next life."""
        settings = {"jid": f"mos@{HOST}", "room": ROOM, "server": self._server.address}
        return XmppConnector.create(settings, context)

    async def say(
        self, text: str, *, thread_id: str | None = None, reply_to: str | None = None
    ) -> str:
        """Say something; the event's id."""
        return await self._ann.say(text, thread_id=thread_id, reply_to=reply_to)

    async def seen(self) -> list[Seen]:
        """What the orchestrator said, oldest first."""
        return [
            Seen(
                message["body"],
                archive_id,
                message["thread"] or None,
                message["reply"]["id"] or None,
            )
            for archive_id, message in await self._ann.sees("mos")
        ]

    async def break_off(self) -> None:
        """The server is gone."""
        await self._ann.go()
        await self._server.stop()

    async def mend(self) -> None:
        """It is back, and so is Ann."""
        await self._server.start()
        self._ann = Person(self._server, "ann")
        await self._ann.come()
