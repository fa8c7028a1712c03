"""Our account at the homeserver: the token, whose it is, and its renewal."""

from __future__ import annotations

import asyncio
import time

import structlog

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.matrix.api import Api, Refused, path
from fleetchatd.connectors.matrix.settings import SECRETS
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret

(TOKEN_NAME,) = SECRETS

log = structlog.get_logger("fleetchatd.connector")


class WrongAccount(Exception):  # noqa: N818 - reads as the outcome that it is
    """The token is good, and another account's."""


class Account:
    """The orchestrator's account.

    Args:
        user_id: who the roster says it is.
    """

    def __init__(self, user_id: str, context: Context) -> None:
        self.user_id = user_id
        self.device_id: str | None = None
        self._context = context
        self._secret: Secret = context.secret(TOKEN_NAME)
        self._renewed: Secret | None = None
        self._renewing = asyncio.Lock()

    def sign(self, api: Api) -> None:
        """Let `api` show the token."""
        api.token = self._secret.value

    async def verify(self, api: Api) -> None:
        """Ask the homeserver whose token it is ("GET /account/whoami"), renewing it at need.

        Raises:
            WrongAccount: another account's.
            ApiError: it could not be told, or the token is refused for good.
        """
        token = api.token
        try:
            answer = await api.request("GET", path("account", "whoami"))
        except Refused as refusal:
            if not refusal.logged_out or not await self.renew(api, token):
                raise
            answer = await api.request("GET", path("account", "whoami"))
        found = answer.get("user_id")
        if found != self.user_id:
            raise WrongAccount(str(found)[:255])
        device_id = answer.get("device_id")
        self.device_id = device_id if isinstance(device_id, str) else None

    async def renew(self, api: Api, refused: str | None) -> bool:
        """Get a token in place of the refused one: from where secrets are kept, or a refreshed one.

        The new one is on disk before it is used: its first use withdraws the old one
        ("Refreshing access tokens").

        Returns:
            Whether there is another token to try.

        Raises:
            ApiError: the homeserver could not be asked.
        """
        async with self._renewing:
            return api.token != refused or await self._renew(api)

    async def _renew(self, api: Api) -> bool:
        try:
            present = self._context.secret(TOKEN_NAME)
        except SecretError:
            present = self._secret
        if present.value != self._secret.value:
            self._use(present, api)
            return True
        if self._secret.refresh_token is None:
            return False
        renewed = self._renewed or await self._refresh(api, self._secret.refresh_token)
        if renewed is None:
            return False
        self._renewed = renewed
        try:
            self._context.store_secret(TOKEN_NAME, renewed)
        except SecretError as error:
            log.error("cannot keep the renewed token", reason=str(error))
            return False
        self._renewed = None
        self._use(renewed, api)
        log.info("the access token was renewed")
        return True

    async def _refresh(self, api: Api, refresh_token: str) -> Secret | None:
        try:
            answer = await api.request(
                "POST", path("refresh"), body={"refresh_token": refresh_token}, token=False
            )
        except Refused as refusal:
            if refusal.status in (401, 403):
                return None
            raise
        token, successor = answer.get("access_token"), answer.get("refresh_token")
        lifetime_ms = answer.get("expires_in_ms")
        if not isinstance(token, str) or not token:
            return None
        return self._secret.refreshed(
            token,
            refresh_token=successor if isinstance(successor, str) else None,
            expires_at=time.time() + lifetime_ms / 1000 if isinstance(lifetime_ms, int) else None,
        )

    def _use(self, secret: Secret, api: Api) -> None:
        self._secret = secret
        api.token = secret.value
