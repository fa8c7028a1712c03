"""A person in the room, with a client of her own."""

from __future__ import annotations

import asyncio
import itertools

from slixmpp import JID, ClientXMPP, Message

from prosody import HOST, PASSWORD, ROOM, Prosody

STANZA_ID = "{urn:xmpp:sid:0}stanza-id"


class Person:
    """Says things, and sees what is in the room."""

    def __init__(self, server: Prosody, name: str) -> None:
        self._server = server
        self._name = name
        self._ids = itertools.count(1)
        self._shown: dict[str, asyncio.Future[str]] = {}
        self.client = ClientXMPP(f"{name}@{HOST}/phone", PASSWORD)
        for plugin in ("xep_0045", "xep_0313", "xep_0461"):
            self.client.register_plugin(plugin)
        self.client.add_event_handler("groupchat_message", self._show)

    async def come(self) -> None:
        """Enter the room; the first one there owns it."""
        self.client.connect(HOST, self._server.port)
        await self.client.wait_until("session_start", 15)
        enter = self.client.plugin["xep_0045"].join_muc_wait
        await enter(JID(ROOM), self._name, maxstanzas=0, timeout=15)

    async def let_in(self, *names: str) -> None:
        """Make members."""
        for name in names:
            await self.client.plugin["xep_0045"].set_affiliation(
                ROOM, "member", jid=f"{name}@{HOST}"
            )

    async def say(
        self, text: str, *, thread_id: str | None = None, reply_to: str | None = None
    ) -> str:
        """Say something; its id in the archive."""
        message = self.client.make_message(ROOM, text, mtype="groupchat")
        message["id"] = f"{self._name}-{next(self._ids)}-{id(self)}"
        if thread_id is not None:
            message["thread"] = thread_id
        if reply_to is not None:
            message["reply"]["id"] = reply_to
        return await self.send(message)

    async def send(self, message: Message) -> str:
        """Send any message to the room; its id in the archive."""
        shown: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._shown[message["id"]] = shown
        message.send()
        async with asyncio.timeout(15):
            return await shown

    async def sees(self, name: str) -> list[tuple[str, Message]]:
        """What `name` said, oldest first, with its ids in the archive."""
        return [
            (result["mam_result"]["id"], message)
            async for result in self.client.plugin["xep_0313"].iterate(JID(ROOM), rsm={"max": 50})
            if (message := result["mam_result"]["forwarded"]["stanza"])["from"].resource == name
        ]

    async def go(self) -> None:
        """Leave."""
        self.client.abort()

    def _show(self, message: Message) -> None:
        shown = self._shown.pop(message["id"], None)
        if shown is not None and message["from"].resource == self._name:
            shown.set_result(message.xml.findall(STANZA_ID)[0].get("id", ""))
