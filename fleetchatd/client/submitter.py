"""Submits messages into an agent's pane, for `fleetchat relay`.

It connects to tmux for each message anew: a relay that has nothing to do holds nothing open there.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator

from fleetchatd.client.errors import NotDeliveredError
from fleetchatd.client.events import Event
from fleetchatd.tmux import targets
from fleetchatd.tmux.address import Address, clean, is_tag
from fleetchatd.tmux.control import ControlClient
from fleetchatd.tmux.errors import NoServerError, TmuxError
from fleetchatd.tmux.server import Server
from fleetchatd.tmux.submission import Activity, NotSubmittedError, Unverified, submit
from fleetchatd.tmux.targets import Place, Target

_CLASSES = frozenset(("terminal-log", "actionable", "human", "reaction"))
_SHORT_ID = re.compile(r"[A-Za-z0-9_.-]{1,24}")


class Submitter:
    """The pane that messages go to."""

    def __init__(self, server: Server, target: Target) -> None:
        self._server = server
        self._target = target
        self._drafts: dict[int, str | None] = {}

    def deliver(self, events: list[Event]) -> Iterator[Event]:
        """Submit events one by one, and give each one that was accepted.

        Raises:
            NotDeliveredError: it was not; its text says why.
        """
        for event in events:
            if _text(event.fields).strip():
                self._deliver(event)
            yield event

    def _deliver(self, event: Event) -> None:
        try:
            asyncio.run(self._submit(event))
        except (NotSubmittedError, TmuxError) as error:
            # What stands there as a draft must not be pasted again behind itself.
            self._drafts = {event.seq: error.draft if isinstance(error, Unverified) else None}
            raise NotDeliveredError(
                f"cannot submit event {event.seq} to pane {self._target.text} of"
                f" {self._server.shown()}: {error}; it stays pending"
            ) from None
        self._drafts = {}

    async def _submit(self, event: Event) -> None:
        place = await self._find()
        line = address_line(
            event.fields, f"{os.uname().nodename.partition('.')[0]}:{place.session}"
        )
        activity = Activity()
        client = await ControlClient.attach(self._server, place.session, activity.heard)
        try:
            draft = self._drafts.get(event.seq)
            await submit(client, activity, place.pane_id, line, draft=draft)
        finally:
            await client.close()

    async def _find(self) -> Place:
        listed = await self._server.run("list-panes", "-a", "-F", targets.FORMAT)
        for place in map(Place.parse, listed.splitlines()):
            if self._target.means(place):
                return place
        raise NoServerError("there is no such pane")


def address_line(event: dict[str, object], destination: str) -> str:
    """A message as it is submitted.

    Args:
        event: a `message` event of the API, none of its types trusted.
        destination: the agent's address, `host:session`.
    """
    sender, thread = str(event.get("sender") or "unknown"), event.get("thread_id")
    address = Address(
        source=_word(sender if _is_console(event) else f"{event.get('connector')}:{sender}"),
        id=_id(event),
        destination=_word(destination),
        tag=thread if isinstance(thread, str) and is_tag(thread) else None,
        event_class=next((one for one in _CLASSES if one == event.get("class")), None),
    )
    return address.line(_text(event))


def _is_console(event: dict[str, object]) -> bool:
    """Whether the sender is an address already, as on the channel of panes."""
    return event.get("connector") == "tmux"


def _id(event: dict[str, object]) -> str:
    """The event's own id where that is short, else its number: the same whenever it comes again."""
    own = str(event.get("id"))
    return own if _SHORT_ID.fullmatch(own) else str(event.get("seq"))


def _text(event: dict[str, object]) -> str:
    text = event.get("text")
    return clean(text).strip("\n") if isinstance(text, str) else ""


def _word(name: str) -> str:
    """A name as one word in which nothing can pass for the address's own signs."""
    return "_".join(clean(name).replace("~", " ").split()) or "unknown"
