"""Our account at the homeserver: the token, whose it is, and its renewal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.matrix.api import Api, Refused, path
from fleetchatd.connectors.matrix.events import KIND, id_of
from fleetchatd.connectors.matrix.settings import SECRETS
from fleetchatd.connectors.network import may_be_shown, refuse_elsewhere
from fleetchatd.connectors.untrusted import clause
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret

(TOKEN_NAME,) = SECRETS

_LONGEST_LIFETIME_MS = 10**14  # no server means more than three thousand years

log = structlog.get_logger("fleetchatd.connector")


class WrongAccount(Exception):  # noqa: N818 - reads as the outcome that it is
    """The token is good, and another account's."""


class Account:
    """The orchestrator's account.

    Args:
        settings: with `homeserver_url` and `user_id`: who the roster says it is.
        context: has its token.
    """

    def __init__(self, settings: Mapping[str, Any], context: Context) -> None:
        self.user_id: str = settings["user_id"]
        self._homeserver: str = settings["homeserver_url"]
        self.device_id: str | None = None
        self._context = context
        self._secret: Secret = context.secret(TOKEN_NAME)
        self._unsaved: tuple[str, Secret] | None = None
        self._renewing = asyncio.Lock()

    def sign(self, api: Api) -> None:
        """Let `api` show the token, if it may be shown there.

        Raises:
            ElsewhereError: it is another homeserver's.
        """
        if not may_be_shown(self._secret, self._homeserver, api.base_url):
            with suppress(SecretError):  # somebody may have logged in at the right one since
                self._secret = self._context.secret(TOKEN_NAME)
        self._use(self._secret, api)

    async def verify(self, api: Api) -> None:
        """Ask the homeserver whose token it is ("GET /account/whoami"), renewing it at need.

        Raises:
            WrongAccount: another account's.
            ElsewhereError: it is refused, and the login that is stored now is another homeserver's.
            ApiError: it could not be told, or the token is refused for good.
        """
        token = api.token
        try:
            await self._identify(api)
        except Refused as refusal:
            if not refusal.logged_out or not await self.renew(api, token):
                raise
            await self._identify(api)

    async def _identify(self, api: Api) -> None:
        answer = await api.request("GET", path("account", "whoami"))
        found = answer.get("user_id")
        if found != self.user_id:
            raise WrongAccount(clause(found, 255) or "nobody")
        self.device_id = id_of(answer.get("device_id"))

    async def renew(self, api: Api, refused: str | None) -> bool:
        """Get a token in place of the refused one: from where secrets are kept, or a refreshed one.

        The new one is on disk before it is used: its first use withdraws the old one
        ("Refreshing access tokens").

        Returns:
            Whether there is another token to try.

        Raises:
            ApiError: the homeserver could not be asked.
            WrongAccount: there is another token, and it is another account's.
            ElsewhereError: there is another token, and it is another homeserver's.
        """
        async with self._renewing, self._context.exchange():
            return api.token != refused or await self._renew(api)

    async def _renew(self, api: Api) -> bool:
        try:
            present = self._context.secret(TOKEN_NAME)
        except SecretError:
            present = self._secret
        if present.value != self._secret.value:
            return await self._change(present, api)
        refreshed = await self._refreshed(self._secret, api)
        if refreshed is None:
            return False
        self._use(refreshed, api)
        return True

    async def _change(self, other: Secret, api: Api) -> bool:
        """Go on with another login, once the homeserver has said that it is our account's too."""
        refuse_elsewhere(other, KIND, self._homeserver, api.base_url)
        trial = Api(api.base_url)
        trial.token = other.value
        try:
            await self._identify(trial)
        except Refused as refusal:
            refreshed = await self._refreshed(other, api) if refusal.logged_out else None
            if refreshed is None:
                raise
            other, trial.token = refreshed, refreshed.value
            await self._identify(trial)
        finally:
            await trial.close()
        self._use(other, api)
        return True

    async def _refreshed(self, secret: Secret, api: Api) -> Secret | None:
        """The successor of a login's token, stored; None if there is none."""
        if secret.refresh_token is None:
            return None
        if self._unsaved is None or self._unsaved[0] != secret.refresh_token:
            successor = await refresh(secret, secret.refresh_token, api)
            if successor is None:
                return None
            self._unsaved = secret.refresh_token, successor
        successor = self._unsaved[1]
        try:
            self._context.store_secret(TOKEN_NAME, successor)
        except SecretError as error:
            log.error("cannot keep the renewed token", reason=str(error))
            return None
        self._unsaved = None
        log.info("the access token was renewed")
        return successor

    def _use(self, secret: Secret, api: Api) -> None:
        refuse_elsewhere(secret, KIND, self._homeserver, api.base_url)
        self._secret = secret
        api.token = secret.value


async def refresh(secret: Secret, refresh_token: str, api: Api) -> Secret | None:
    """Ask for the successor of a login's token; None if it has ended ("POST /refresh").

    Raises:
        ApiError: it could not be told.
    """
    try:
        answer = await api.request(
            "POST", path("refresh"), body={"refresh_token": refresh_token}, token=False
        )
    except Refused as refusal:
        if refusal.status in (401, 403):
            return None
        raise
    token = id_of(answer.get("access_token"))
    if token is None:
        return None
    return secret.refreshed(
        token,
        refresh_token=id_of(answer.get("refresh_token")),
        expires_at=end_of(answer.get("expires_in_ms")),
    )


def end_of(lifetime_ms: object) -> float | None:
    """The Unix time, in seconds, at which a token with that lifetime ends; None if unknown."""
    if isinstance(lifetime_ms, int) and 0 < lifetime_ms < _LONGEST_LIFETIME_MS:
        return time.time() + lifetime_ms / 1000
    return None
