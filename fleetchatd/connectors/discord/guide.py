"""Setting up Discord: logging in, and what is looked at.

All by REST: nothing here identifies at the gateway, which Discord allows only so often.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.discord.checkup import LATER, PORTAL, Checkup
from fleetchatd.connectors.discord.raw import KIND
from fleetchatd.connectors.discord.rest import DEFAULT_API_URL, Refused, Rest, RestError
from fleetchatd.connectors.discord.settings import SECRETS
from fleetchatd.connectors.guide import Credential, Finding, Login, Settings, Way
from fleetchatd.connectors.network import refuse_elsewhere
from fleetchatd.connectors.probe import examine_way, finding
from fleetchatd.errors import ElsewhereError, SecretError, SetupError
from fleetchatd.model import Secret

_TOKEN = re.compile("[!-~]+")
_COPY_TOKEN = (
    f"copy the bot's token (not the client secret, nor the public key) at {PORTAL}, on the page "
    "Bot of your application, with Reset Token"
)


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
        secret = Secret(token, servers=(_api_url(settings),))
        return Login(secret, f"{rest.name} ({rest.me})")

    async def logout(self, settings: Settings, secret: Secret) -> str:
        """Nothing: a bot's token is no login that could end."""
        return (
            "the bot's token stays good at Discord; if somebody else may have it, press Reset Token"
            " under Bot at https://discord.com/developers/applications"
        )

    async def examine(self, settings: Settings, context: Context) -> AsyncIterator[Finding]:
        """Look at the way to Discord, the token, the application, the channel and its people."""
        way = await examine_way(f"{_api_url(settings)}/gateway", about="api_url")
        for found in way:
            yield replace(found, about=_api_setting(settings))
        try:
            secret = context.secret(SECRETS[0])
        except SecretError as error:
            yield finding("error", str(error), SECRETS[0], "run `fleetchat login discord`")
            return
        if way[-1].level == "error":
            return
        try:
            refuse_elsewhere(secret, KIND, _api_url(settings))
        except ElsewhereError as error:
            there = f"--api-url {shlex.quote(_api_url(settings))}"  # no roster may have it yet
            remedy = f"log in there: fleetchat login discord {there}"
            yield Finding("error", str(error).partition("; ")[0], remedy, SECRETS[0])
            return
        try:
            rest = await Rest.sign_in(_api_url(settings), secret.value)
        except RestError as error:
            unwelcome = isinstance(error, Refused) and error.unwelcome
            about = SECRETS[0] if unwelcome else _api_setting(settings)
            # What is configured outranks a login.
            configured = secret.replaces is not None
            then = f"put it into {secret.source}" if configured else "run `fleetchat login discord`"
            what = _with_remedy(error, f"{_COPY_TOKEN}, and {then}")
            yield finding("error", what, about, None)
            return
        try:
            yield Finding("ok", f"the token is that of {rest.name} ({rest.me})")
            async for found in Checkup(rest, settings).findings():
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
    return str(error) if "; " in str(error) else f"{error}; {LATER}"
