"""Setting up Matrix: what is looked at, logging in and out, and a room of our own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.guide import Credential, Finding, Login, Settings, Way
from fleetchatd.connectors.matrix import login
from fleetchatd.connectors.matrix.account import Account, WrongAccount
from fleetchatd.connectors.matrix.api import Api, ApiError, base_url_of
from fleetchatd.connectors.matrix.checkup import STAGES, broken_off
from fleetchatd.connectors.matrix.rooms import create_room
from fleetchatd.connectors.matrix.settings import SCHEMA
from fleetchatd.connectors.probe import finding
from fleetchatd.errors import SecretError, SetupError
from fleetchatd.model import Secret

_USER_ID = re.compile(SCHEMA["properties"]["user_id"]["pattern"])


class MatrixGuide:
    """Helps to set up the Matrix kind."""

    login_settings: Sequence[str] = ("homeserver_url", "user_id")
    ways: Sequence[Way] = ("password", "token")

    async def examine(self, settings: Settings, context: Context) -> AsyncIterator[Finding]:
        """Look at the homeserver, then the login, then the room and who is in it."""
        if "homeserver_url" not in settings:
            return
        named = settings["homeserver_url"]
        try:
            base_url = await base_url_of(named)
        except ApiError as error:
            remedy = "put its URL, https://…, into homeserver_url"
            what = f"cannot look up the homeserver of {named}: {error}"
            yield finding("error", what, "homeserver_url", remedy)
            return
        async with Api(base_url) as api:
            for stage in STAGES:
                try:
                    found = await stage(api, settings, context)
                except ApiError as error:
                    found = [broken_off(error, base_url)]
                for one in found:
                    yield one
                if not found or found[-1].level == "error":
                    return

    async def login(
        self, settings: Settings, credential: Credential, earlier: Secret | None
    ) -> Login:
        """Log in with a password, or with an access token from elsewhere."""
        return await login.login(settings, credential, earlier)

    async def logout(self, settings: Settings, secret: Secret) -> None:
        """End the login at the homeserver."""
        await login.logout(settings, secret)

    async def make_room(
        self, settings: Settings, invite: Sequence[str], context: Context
    ) -> Settings:
        """Make a private room without encryption, and invite those people."""
        for user in invite:
            if not _USER_ID.match(user) or user == settings["user_id"]:
                raise SetupError(
                    f"cannot invite {user}: it is no other person's Matrix user id;"
                    " give one such as @ann:example.org"
                )
        try:
            with login.troubles("cannot make a room"):
                async with Api(await base_url_of(settings["homeserver_url"])) as api:
                    account = Account(settings, context)
                    account.sign(api)
                    await account.verify(api)
                    room_id = await create_room(api, f"Fleet of {context.orchestrator}", invite)
        except WrongAccount as wrong:
            raise SetupError(
                f"cannot make a room: the access token belongs to {wrong}; log in as"
                f" {settings['user_id']}: fleetchat login matrix"
            ) from None
        except SecretError as error:
            raise SetupError(f"cannot make a room: {error}") from None
        return {"room_id": room_id}
