"""A client in a room: what can be asked and said there, over as many connections as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

from fleetchatd.connectors.untrusted import one_line
from slixmpp import JID, ClientXMPP, Message, Presence
from slixmpp.exceptions import IqTimeout, XMPPError

from fleetchatd_connector_xmpp.settings import SECRETS
from fleetchatd_connector_xmpp.stanzas import Entry, archive_id, read, sound

ANSWER_S = 15.0
"""How long the server may take for anything, in seconds."""

PAGE = 50
PLUGINS = ("xep_0030", "xep_0045", "xep_0313", "xep_0461")
FEATURES = {
    "urn:xmpp:mam:2": "have the room's owner switch its archive on",
    "muc_nonanonymous": "have the room's owner let everybody see who is who",
    "muc_membersonly": "set `allowed_senders`, or have the room's owner let in members only",
}
"""What a room must have, and what to do where it has not (XEP-0045 §15.3, XEP-0313 §5)."""

T = TypeVar("T")


class Trouble(Exception):  # noqa: N818 - reads as what it is
    """There is no talking now. Without a remedy it is an outage, and ends by itself."""

    def __init__(self, what: str, remedy: str | None = None, about: str = "room") -> None:
        super().__init__(f"{what}; {remedy}" if remedy else what)
        self.what, self.remedy, self.about = what, remedy, about


class Refused(Exception):  # noqa: N818
    """The room did not take a message. `passing`: it may later."""

    def __init__(self, error: Any) -> None:
        super().__init__(f"the room refuses it: {one_line(error['text'] or error['condition'])}")
        self.passing = error["type"] == "wait" or error["condition"] == "not-acceptable"


class Forgotten(Exception):  # noqa: N818
    """The archive does not have that place any more."""


class Page(NamedTuple):
    """What an archive has behind some place; `last` is the place behind it."""

    entries: list[Entry]
    last: str
    complete: bool


class Client(ClientXMPP):
    """Tries to connect once: the connector has pauses of its own."""

    def reschedule_connection_attempt(self) -> None:
        """Called when nobody answered."""
        self.event("unreachable")


class Session:
    """One account in one room.

    Attributes:
        rung: set whenever there may be news.
        joined: whether one can talk.

    Args:
        settings: the roster's block.
        resource: tells this client from others of the account. A second one of the same name ends
            the first one's connection, so that nothing can arrive from there any more.
    """

    def __init__(
        self, settings: Mapping[str, Any], password: str, nick: str, resource: str = "fleetchatd"
    ) -> None:
        self.rung = asyncio.Event()
        self.joined = False
        self._settings = settings
        self._room, self._nick = JID(JID(settings.get("room", "")).bare), nick
        self._shown: dict[str, asyncio.Future[str]] = {}
        client = self._client = Client(f"{settings['jid']}/{resource}", password)
        for plugin in PLUGINS:
            client.register_plugin(plugin)
        tells: dict[str, Callable[[Any], None]] = {
            "session_start": lambda _: self._started.set_result(None),
            "failed_all_auth": self._unwelcome,
            "unreachable": lambda _: self._end(_outage("nobody answers")),
            "disconnected": lambda why: self._end(_outage(why or "it closed the connection")),
            "groupchat_message": self._heard,
            "groupchat_message_error": self._refused,
            f"muc::{self._room}::self-presence": self._moved,
        }
        for event, handler in tells.items():
            client.add_event_handler(event, handler)

    async def log_in(self) -> None:
        """Connect and authenticate.

        Raises:
            Trouble: that cannot be done now.
        """
        await self.close()  # what an attempt left that was cancelled
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lost: asyncio.Future[Trouble] = asyncio.get_running_loop().create_future()
        self._client.connect(*self._settings.get("server", "").split(":", 1))
        await self._unless_lost(self._started)

    async def look(self) -> None:
        """See whether the room is one that can be used.

        Raises:
            Trouble: it is not, or that cannot be told now.
        """
        info = await _asked(self._client.plugin["xep_0030"].get_info(jid=self._room))
        for feature, remedy in FEATURES.items():
            if feature not in info["disco_info"]["features"] and not (
                feature == "muc_membersonly" and "allowed_senders" in self._settings
            ):
                raise Trouble(f"{self._room} lacks {feature}", remedy)

    async def join(self) -> None:
        """Enter the room.

        Raises:
            Trouble: that cannot be done now.
        """
        join = self._client.plugin["xep_0045"].join_muc_wait
        await _asked(join(self._room, self._nick, maxstanzas=0))
        self.joined = not self._lost.done()

    async def close(self) -> None:
        """End the connection, or the attempt to make one; fine if there is none."""
        self.joined = False
        self._client.cancel_connection_attempt()
        if self._client.transport is not None:
            gone = self._client.disconnected
            self._client.abort()
            await asyncio.wait([gone], timeout=1)  # never comes, if TLS was just being agreed on

    async def page(self, after: str) -> Page:
        """What the archive has behind an id of its own, or from its beginning ("").

        Raises:
            Forgotten: it does not know that id any more.
            Trouble: it cannot be told now.
        """
        query = {"max": PAGE, "after": after} if after else {"max": PAGE}
        # What comes counts as an answer only if the room itself sent it (the library's Collector).
        answer = self._client.plugin["xep_0313"].retrieve(self._room, rsm=query)
        found = await _asked(self._unless_lost(answer), may_be_forgotten=bool(after))
        entries = [entry for result in found["mam"]["results"] if (entry := read(result))]
        fin = found["mam_fin"]
        return Page(entries, fin["rsm"]["last"] or after, fin["complete"] == "true")

    async def newest(self) -> str:
        """The id of the newest message in the archive; "" if it is empty.

        Raises:
            Trouble: it cannot be told now.
        """
        archive = self._client.plugin["xep_0313"]
        results = archive.iterate(self._room, reverse=True, rsm={"max": 1}, total=1)
        newest = await _asked(anext(results, None))
        return "" if newest is None else str(newest["mam_result"]["id"])

    async def say(
        self, text: str, message_id: str, thread_id: str | None, reply_to: str | None
    ) -> str:
        """Say something; the id that the archive gave it.

        Raises:
            Refused: the room did not take it.
            Trouble: nobody knows whether it did.
        """
        message = self._client.make_message(self._room, sound(text), mtype="groupchat")
        message["id"] = message_id
        if thread_id is not None:
            message["thread"] = sound(thread_id)
        if reply_to is not None:
            message["reply"]["id"] = sound(reply_to)
        shown = self._shown[message_id] = asyncio.get_running_loop().create_future()
        try:
            message.send()
            return await self._unless_lost(shown)
        finally:
            self._shown.pop(message_id, None)

    async def _unless_lost(self, answer: Awaitable[T]) -> T:
        """What comes, unless the connection ends before."""
        assert isinstance(answer, asyncio.Future)  # as all of the library's answers are
        waiting: tuple[asyncio.Future[Any], ...] = (answer, self._lost)
        await asyncio.wait(waiting, timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return cast("T", answer.result())
        answer.cancel()
        raise self._lost.result() if self._lost.done() else _outage("the server does not answer")

    # -- what the server tells

    def _end(self, trouble: Trouble) -> None:
        self.joined = False
        if not self._lost.done():
            self._lost.set_result(trouble)
        self.rung.set()

    def _unwelcome(self, _: object) -> None:
        what = f"the server refuses the password of {self._settings['jid']}"
        self._end(Trouble(what, "run `fleetchat login xmpp`", SECRETS[0]))

    def _heard(self, message: Message) -> None:
        """Somebody said something; if it is our own, that is how we know that it is out."""
        self.rung.set()
        mine = message["from"] == f"{self._room}/{self._nick}"
        if mine and (shown := self._shown.pop(message["id"], None)):
            shown.set_result(archive_id(message, self._room))

    def _refused(self, message: Message) -> None:
        if message["from"] == self._room and (shown := self._shown.pop(message["id"], None)):
            shown.set_exception(Refused(message["error"]))

    def _moved(self, presence: Presence) -> None:
        if presence["type"] == "unavailable":
            self._end(_outage("we were put out of the room"))


async def _asked(answer: Awaitable[T], *, may_be_forgotten: bool = False) -> T:
    """What the room answers; what it refuses is for a person to mend."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return await answer
    except (IqTimeout, TimeoutError):
        raise _outage("the room does not answer") from None
    except XMPPError as error:
        if may_be_forgotten and error.condition == "item-not-found":
            raise Forgotten from None
        remedy = "see that it exists, that the account is a member, and that its nick is free"
        raise Trouble(f"the room does not let us in: {one_line(error.condition)}", remedy) from None


def _outage(why: object) -> Trouble:
    return Trouble(f"cannot reach the room: {one_line(str(why))}")
