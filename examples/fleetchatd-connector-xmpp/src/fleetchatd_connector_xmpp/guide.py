"""What `fleetchat init`, `login` and `doctor` can do with an XMPP room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.guide import Credential, Finding, Login, Settings, Way
from fleetchatd.errors import SecretError, SetupError
from fleetchatd.model import Secret

from fleetchatd_connector_xmpp.session import Session, Trouble
from fleetchatd_connector_xmpp.settings import SECRETS

RESOURCE = "fleetchat-setup"
"""A name of its own, so that looking around leaves a running daemon its connection."""


class XmppGuide:
    """Tries what the daemon will do, without entering the room."""

    login_settings: Sequence[str] = ("jid",)
    ways: Sequence[Way] = ("password",)

    async def examine(self, settings: Settings, context: Context) -> AsyncIterator[Finding]:
        """Log in, look at the room, and see whether its archive is open to us."""
        try:
            password = context.secret(SECRETS[0]).value
        except SecretError as error:
            yield Finding("error", str(error), "run `fleetchat login xmpp`", SECRETS[0])
            return
        if "jid" not in settings:
            return
        session = Session(settings, password, context.orchestrator, RESOURCE)
        try:
            await session.log_in()
            yield Finding("ok", f"the server lets {settings['jid']} in")
            if "room" in settings:
                await session.look()
                await session.newest()
                yield Finding("ok", f"{settings['room']} is a room that can be used")
        except Trouble as trouble:
            yield Finding("error", trouble.what, trouble.remedy, trouble.about)
        finally:
            await session.close()

    async def login(
        self, settings: Settings, credential: Credential, earlier: Secret | None
    ) -> Login:
        """See that the password is right; it is the secret."""
        session = Session(settings, credential.value, RESOURCE, RESOURCE)
        try:
            await session.log_in()
        except Trouble as trouble:
            raise SetupError(f"cannot log in: {trouble.what}") from None
        finally:
            await session.close()
        return Login(Secret(credential.value), settings["jid"])

    async def logout(self, settings: Settings, secret: Secret) -> None:
        """A password does not end."""
