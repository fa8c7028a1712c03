"""Logging in and out ("Login", "Logging out"): nothing here shows what was given to prove it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from fleetchatd.connectors.guide import Credential, Login, Settings
from fleetchatd.connectors.matrix.account import end_of, refresh
from fleetchatd.connectors.matrix.api import Api, ApiError, Refused, base_url_of, path
from fleetchatd.connectors.matrix.events import id_of
from fleetchatd.connectors.matrix.judgement import PASSWORD, flows_of, without_password
from fleetchatd.connectors.untrusted import clause
from fleetchatd.errors import SetupError
from fleetchatd.model import Secret

_TOKEN = re.compile(r"[!-~]{1,8192}")

_SEE_THE_SERVER = "see that connector.matrix.homeserver_url is right and the homeserver runs"


async def login(settings: Settings, credential: Credential, earlier: Secret | None) -> Login:
    """Have the homeserver accept a password, or an access token from elsewhere.

    The device of `earlier`, if that is for the same homeserver, is used again: a message that was
    under way is still known then, for transaction ids belong to the device.

    Raises:
        SetupError: it is refused, or nobody answers.
    """
    user_id, homeserver = settings["user_id"], settings["homeserver_url"]
    with troubles(f"cannot log in as {user_id}"):
        async with Api(await base_url_of(homeserver)) as api:
            if credential.way == "token":
                secret = await _by_token(api, user_id, credential.value)
            else:
                same = earlier is not None and earlier.is_for(homeserver, api.base_url)
                device_id = earlier.device_id if earlier is not None and same else None
                secret = await _by_password(api, user_id, credential.value, device_id)
    servers = tuple(dict.fromkeys((homeserver, api.base_url)))
    return Login(replace(secret, servers=servers), user_id)


async def logout(settings: Settings, secret: Secret) -> None:
    """End a login at the homeserver that it is for; one that has ended already is fine.

    Raises:
        SetupError: it cannot be ended now.
    """
    with troubles("cannot log out"):
        homeserver = secret.servers[0] if secret.servers else settings["homeserver_url"]
        async with Api(await base_url_of(homeserver)) as api:
            api.token = secret.value
            if await _ended(api) or secret.refresh_token is None:
                return
            successor = await refresh(secret, secret.refresh_token, api)
            if successor is not None:  # the token had expired, and the login had not
                api.token = successor.value
                await _ended(api)


@contextmanager
def troubles(failed: str) -> Iterator[None]:
    """Turn what goes wrong with a homeserver into a sentence that begins with `failed`."""
    try:
        yield
    except Refused as refusal:
        raise SetupError(f"{failed}: {_told(refusal)}") from None
    except ApiError as error:
        remedy = "" if "; " in str(error) else f"; {_SEE_THE_SERVER}"
        raise SetupError(f"{failed}: cannot reach the homeserver: {error}{remedy}") from None


def _told(refusal: Refused) -> str:
    if refusal.status == 429:
        wait_s = refusal.retry_after_s
        when = "in a minute" if wait_s is None else f"in {max(wait_s, 1):.0f} s"
        return f"the homeserver has had too many requests; try again {when}"
    if not refusal.errcode:
        return f"{refusal}, as no homeserver does; {_SEE_THE_SERVER}"
    return f"{refusal}; see its administrator"


# -- by password ----------------------------------------------------------------------------------


async def _by_password(api: Api, user_id: str, password: str, device_id: str | None) -> Secret:
    flows = flows_of(await api.request("GET", path("login"), token=False))
    if not flows.by_password:
        what, remedy = without_password(flows, user_id)
        raise SetupError(f"cannot log in as {user_id}: {what}; {remedy}")
    answer = await _ask_in(api, user_id, password, device_id)
    api.token = _usable(answer.get("access_token"))
    if api.token is None:
        raise Refused(200, "", "without an access token")
    try:
        device_id = await _device_of(api, user_id)
    except BaseException:
        with suppress(ApiError):  # nobody would know of this login any more
            await _ended(api)
        raise
    return Secret(
        api.token,
        refresh_token=_usable(answer.get("refresh_token")),
        device_id=device_id,
        expires_at=end_of(answer.get("expires_in_ms")),
    )


async def _ask_in(api: Api, user_id: str, password: str, device_id: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": PASSWORD,
        "identifier": {"type": "m.id.user", "user": user_id},
        "password": _fit_for_json(password, user_id),
        "refresh_token": True,
        "initial_device_display_name": f"fleetchatd on {socket.gethostname().partition('.')[0]}",
    }
    if device_id is not None:
        body["device_id"] = device_id
    try:
        return await api.request("POST", path("login"), body=body, token=False)
    except Refused as refusal:
        if refusal.status == 403 and refusal.errcode == "M_FORBIDDEN":
            raise SetupError(
                f"cannot log in as {user_id}: the homeserver refuses the password"
                " (M_FORBIDDEN); check it, and that this is the account's homeserver"
            ) from None
        # Whatever it says: it was told the password, and may repeat it.
        refusal.reason = refusal.reason.replace(password, "…") if password else refusal.reason
        raise


def _fit_for_json(password: str, user_id: str) -> str:
    try:
        password.encode()
    except UnicodeEncodeError:
        raise SetupError(
            f"cannot log in as {user_id}: the password is not UTF-8; set the terminal to UTF-8"
        ) from None
    return password


# -- by token -------------------------------------------------------------------------------------


async def _by_token(api: Api, user_id: str, token: str) -> Secret:
    api.token = _usable(token)
    if api.token is None:
        raise SetupError(
            f"cannot log in as {user_id}: that is no access token (blanks, controls or nothing);"
            " give the bare token"
        )
    try:
        device_id = await _device_of(api, user_id)
    except Refused as refusal:
        if not refusal.logged_out:
            raise
        raise SetupError(
            f"cannot log in as {user_id}: the homeserver does not know that token"
            f" ({refusal.errcode}); log in at {api.base_url} once more for another"
        ) from None
    return Secret(api.token, device_id=device_id)


# -- both -----------------------------------------------------------------------------------------


async def _device_of(api: Api, user_id: str) -> str | None:
    """The device that the token belongs to, if it is one of that user ("GET /whoami")."""
    answer = await api.request("GET", path("account", "whoami"))
    if answer.get("user_id") != user_id:
        found = clause(answer.get("user_id"), 255) or "nobody"
        raise SetupError(
            f"cannot log in as {user_id}: the homeserver says that this is {found};"
            " use that as connector.matrix.user_id, or another account"
        )
    return id_of(answer.get("device_id"))


async def _ended(api: Api) -> bool:
    """End the token's login; whether the token was still good for it."""
    try:
        await api.request("POST", path("logout"), body={})
    except Refused as refusal:
        if not refusal.logged_out:
            raise
        return False
    return True


def _usable(token: object) -> str | None:
    """`token` if it can be shown in a request."""
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else None
