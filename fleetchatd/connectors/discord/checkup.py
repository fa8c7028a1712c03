"""What a bot that is signed in can see of its application, the gateway, its channel and people."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

from fleetchatd.connectors.discord.budget import terms_of
from fleetchatd.connectors.discord.events import display_name
from fleetchatd.connectors.discord.intake import look_around
from fleetchatd.connectors.discord.place import (
    BLANK,
    NEEDED,
    OPEN,
    SEND,
    Place,
    no_access,
)
from fleetchatd.connectors.discord.raw import id_of
from fleetchatd.connectors.discord.rest import (
    LONGEST_NAME,
    NOT_THERE,
    Refused,
    Rest,
    RestError,
)
from fleetchatd.connectors.guide import Finding, Level, Settings
from fleetchatd.connectors.probe import examine_way, finding
from fleetchatd.connectors.untrusted import mapping_of, one_line

FEW_IDENTIFIES = 100
"""Who has so few attempts to identify left of the day's 1,000 will wait for new ones soon."""

PORTAL = "https://discord.com/developers/applications"
LATER = "look again in a while"

_INVITATION = "https://discord.com/oauth2/authorize?scope=bot&permissions={}&client_id={}"
_CONTENT_INTENT = 1 << 18 | 1 << 19
"""GATEWAY_MESSAGE_CONTENT and its LIMITED sister, for bots in less than 100 servers."""

_NO_MEMBERS = (10007, 10013)  # Unknown Member, Unknown User
_MEMBER = "/guilds/{guild_id}/members/{user_id}"
_MEND_SENDERS = (
    "invite them to the server, or mend connector.discord.allowed_senders in the roster (Developer "
    "Mode on, Copy User ID)"
)


class Checkup:
    """One bot's look around; each look is a step of its own."""

    def __init__(self, rest: Rest, settings: Settings) -> None:
        self._rest = rest
        self._channel_id: str | None = settings.get("channel_id")
        self._allowed: Sequence[str] | None = settings.get("allowed_senders")
        self._application_id: str | None = None

    async def findings(self) -> AsyncIterator[Finding]:
        """What is found, in the order in which one would mend it; one that fails ends no other."""
        looks = {
            "the application": self._application,
            "the gateway": self._gateway,
            "the channel": self._channel,
        }
        for subject, look in looks.items():
            try:
                async for found in look():
                    yield found
            except RestError as error:
                yield finding("error", f"cannot look at {subject}: {error}", None, LATER)

    async def _application(self) -> AsyncIterator[Finding]:
        """Whether people's words are told to the bot ("Get Current Application")."""
        application = mapping_of(await self._rest.ask_if_there("/applications/@me"))
        self._application_id, flags = id_of(application.get("id")), application.get("flags")
        if self._application_id is None or type(flags) is not int:
            return  # another server, without such a switch
        if flags & _CONTENT_INTENT:
            yield Finding("ok", "Message Content Intent is switched on")
            return
        page = f"{PORTAL}/{self._application_id}/bot"
        remedy = f"switch it on at {page}, under Privileged Gateway Intents"
        yield Finding("error", "Message Content Intent is switched off", remedy)

    async def _gateway(self) -> AsyncIterator[Finding]:
        """Whether the bot may connect, and how often still ("Get Gateway Bot")."""
        terms = terms_of(await self._rest.ask("GET", "/gateway/bot"))
        # It is another host than the API's. A request that asks for no WebSocket costs nothing.
        way = await examine_way(terms.url.replace("ws", "http", 1), about="api_url")
        if way[-1].level == "error":
            yield replace(way[-1], about=None)
        what = f"the bot may connect {terms.remaining} more times"
        if terms.remaining > FEW_IDENTIFIES:
            yield Finding("ok", what)
            return
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(time.time() + terms.reset_s))
        remedy = "find out what starts it so often, and end that"
        yield Finding("warning", f"{what} until {until}", remedy)

    async def _channel(self) -> AsyncIterator[Finding]:
        """What the channel is, and what the bot and others may do there."""
        if self._channel_id is None:
            return
        try:
            place = await look_around(self._rest, self._channel_id)
        except Refused as refusal:
            if not refusal.final:
                raise
            yield self._no_access(self._channel_id)
            return
        for found in place_findings(place, self._allowed):
            yield found
        if place.unusable is None and self._allowed is not None:
            async for found in self._senders(place.guild_id, self._allowed):
                yield found

    def _no_access(self, channel_id: str) -> Finding:
        sentence = no_access(channel_id)
        if self._application_id is not None:
            sentence += f" (to invite it: {_INVITATION.format(sum(NEEDED), self._application_id)})"
        return finding("error", sentence, "channel_id", None)

    async def _senders(self, guild_id: str, allowed: Sequence[str]) -> AsyncIterator[Finding]:
        """Whether those who are listed can be there to speak ("Get Guild Member")."""
        unheard = []
        for user_id in allowed:
            try:
                member = await self._rest.ask("GET", _MEMBER, guild_id=guild_id, user_id=user_id)
            except Refused as refusal:
                if refusal.code in _NO_MEMBERS:
                    unheard.append(f"{user_id} (not on the server)")
                elif refusal.status in NOT_THERE:
                    return  # another server, which does not tell
                else:
                    what = f"cannot tell whether {user_id} is on the server: {refusal}"
                    yield finding("warning", what, "allowed_senders", LATER)
                continue
            if user_id == self._rest.me:
                unheard.append(f"{user_id} (the bot itself)")
            else:
                yield Finding("ok", f"{_called(member, user_id)} may speak")
        if unheard:
            level: Level = "error" if len(unheard) == len(allowed) else "warning"
            what = f"listed in allowed_senders, but cannot speak: {', '.join(unheard)}"
            yield Finding(level, what, _MEND_SENDERS, "allowed_senders")


def place_findings(place: Place, allowed: Sequence[str] | None) -> Iterator[Finding]:
    """What is to be said of the channel."""
    if place.unusable is not None:
        yield finding("error", place.unusable, "channel_id", None)
        return
    yield Finding("ok", f"channel {place.channel_id} is there, and the bot sees it")
    if not place.open:
        yield Finding("ok", "the channel is closed to @everyone")
    elif allowed is None:
        yield finding("error", OPEN, "allowed_senders", None)
    else:
        yield Finding("ok", "the channel is open to @everyone, and only allowed_senders are heard")
    yield from _permission_findings(place)


def _permission_findings(place: Place) -> Iterator[Finding]:
    for name in place.missing:
        remedy = "grant it to the bot in the channel's settings, under Permissions"
        level: Level = "error" if name == NEEDED[SEND] else "warning"
        yield Finding(level, f"the bot lacks {name} in the channel", remedy)
    if place.told and not place.missing:
        yield Finding("ok", "the bot has the permissions that it needs there")
    if place.blank:
        yield finding("warning", BLANK, None, None)
    elif place.readable:
        yield Finding("ok", "the channel's history can be read")


def _called(member: object, user_id: str) -> str:
    """A member, for people."""
    user = mapping_of(mapping_of(member).get("user"))
    name = one_line(mapping_of(member).get("nick") or display_name(user), LONGEST_NAME)
    return f"{name or 'somebody'} ({user_id}{', a bot' * (user.get('bot') is True)})"
