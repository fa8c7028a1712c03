"""Setting up Discord: the way there, the token, the application, the channel, and who may speak.

All by REST: nothing here identifies at the gateway, which Discord allows only so often.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

from fleetchatd.connectors.base import Context
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
    DEFAULT_API_URL,
    LONGEST_NAME,
    NOT_THERE,
    Refused,
    Rest,
    RestError,
)
from fleetchatd.connectors.discord.settings import SECRETS
from fleetchatd.connectors.guide import Credential, Finding, Level, Login, Settings, Way
from fleetchatd.connectors.probe import examine_way, finding
from fleetchatd.connectors.untrusted import mapping_of, one_line
from fleetchatd.errors import SecretError, SetupError
from fleetchatd.model import Secret

FEW_IDENTIFIES = 100
"""Who has so few attempts to identify left of the day's 1,000 will wait for new ones soon."""

_PORTAL = "https://discord.com/developers/applications"
_INVITATION = "https://discord.com/oauth2/authorize?scope=bot&permissions={}&client_id={}"
_CONTENT_INTENT = 1 << 18 | 1 << 19
"""GATEWAY_MESSAGE_CONTENT and its LIMITED sister, for bots in less than 100 servers."""

_NO_MEMBERS = (10007, 10013)  # Unknown Member, Unknown User
_MEMBER = "/guilds/{guild_id}/members/{user_id}"
_MEND_SENDERS = (
    "invite them to the server, or mend connector.discord.allowed_senders in the roster (Developer "
    "Mode on, Copy User ID)"
)
_TOKEN = re.compile("[!-~]+")
_MEMBER = "/guilds/{guild_id}/members/{user_id}"
_MEND_SENDERS = (
    "invite them to the server, or mend connector.discord.allowed_senders in the roster (Developer "
    "Mode on, Copy User ID)"
)
_TOKEN = re.compile("[!-~]+")
_COPY_TOKEN = (
    f"copy the bot's token (not the client secret, nor the public key) at {_PORTAL}, on the page "
    "Bot of your application, with Reset Token"
)
_LATER = "look again in a while"


class DiscordGuide:
    """Helps to set up the discord kind."""

    login_settings: Sequence[str] = ()
    ways: Sequence[Way] = ("token",)

    async def login(
        self, settings: Settings, credential: Credential, earlier: Secret | None
    ) -> Login:
        """Have Discord accept the token of a bot."""
        token = credential.value.strip()
        if not _TOKEN.fullmatch(token):
            raise SetupError(f"cannot log in to Discord: that is no token; {_COPY_TOKEN}")
        try:
            rest = await Rest.sign_in(_api_url(settings), token)
        except RestError as error:
            what = _with_remedy(error, _COPY_TOKEN)
            raise SetupError(f"cannot log in to Discord: {what}") from None
        await rest.close()
        return Login(Secret(token), f"{rest.name} ({rest.me})")

    async def logout(self, settings: Settings, secret: Secret) -> None:
        """Nothing: a bot's token is no login that could end; Reset Token in the portal ends it."""

    async def examine(self, settings: Settings, context: Context) -> AsyncIterator[Finding]:
        """Look at the way to Discord, the token, the application, the channel and its people."""
        way = await examine_way(f"{_api_url(settings)}/gateway", about="api_url")
        for found in way:
            yield replace(found, about=_api_setting(settings))
        try:
            token = context.secret(SECRETS[0]).value
        except SecretError as error:
            yield finding("error", str(error), SECRETS[0], "run `fleetchat login discord`")
            return
        if way[-1].level == "error":
            return
        try:
            rest = await Rest.sign_in(_api_url(settings), token)
        except RestError as error:
            unwelcome = isinstance(error, Refused) and error.unwelcome
            about = SECRETS[0] if unwelcome else _api_setting(settings)
            what = _with_remedy(error, f"{_COPY_TOKEN}, and run `fleetchat login discord`")
            yield finding("error", what, about, None)
            return
        try:
            yield Finding("ok", f"the token is that of {rest.name} ({rest.me})")
            async for found in _Visit(rest, settings).findings():
                yield found
        finally:
            await rest.close()


def _api_url(settings: Settings) -> str:
    return str(settings.get("api_url", DEFAULT_API_URL)).rstrip("/")


def _api_setting(settings: Settings) -> str | None:
    """The setting to mend if nobody answers; Discord itself is no answer of anybody's."""
    return "api_url" if "api_url" in settings else None


def _with_remedy(error: RestError, other_token: str) -> str:
    """Why signing in failed, and what to do."""
    if isinstance(error, Refused) and error.unwelcome:
        return f"the token is refused; {other_token}"
    return str(error) if "; " in str(error) else f"{error}; {_LATER}"


class _Visit:
    """What a bot that is signed in can see; each look is a step of its own."""

    def __init__(self, rest: Rest, settings: Settings) -> None:
        self._rest = rest
        self._channel_id: str | None = settings.get("channel_id")
        self._allowed: Sequence[str] | None = settings.get("allowed_senders")
        self._application_id: str | None = None

    async def findings(self) -> AsyncIterator[Finding]:
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
                yield finding("error", f"cannot look at {subject}: {error}", None, _LATER)

    async def _application(self) -> AsyncIterator[Finding]:
        """Whether people's words are told to the bot ("Get Current Application")."""
        application = mapping_of(await self._rest.ask_if_there("/applications/@me"))
        self._application_id, flags = id_of(application.get("id")), application.get("flags")
        if self._application_id is None or type(flags) is not int:
            return  # another server, without such a switch
        if flags & _CONTENT_INTENT:
            yield Finding("ok", "Message Content Intent is switched on")
            return
        page = f"{_PORTAL}/{self._application_id}/bot"
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
                    yield finding("warning", what, "allowed_senders", _LATER)
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
