"""Servers, logins and tokens."""

from __future__ import annotations

from typing import cast

from tests.fakes.context import Context
from tests.fakes.room import SERVER_NAME, Refusal, forbidden, not_found
from tests.fakes.world import Login


def versions(at: Context) -> object:
    return {"versions": list(at.profile.versions)}


def well_known(at: Context) -> object:
    if at.well_known is None:
        raise not_found("No .well-known here")
    return at.well_known


def login_flows(_at: Context) -> object:
    return {"flows": [{"type": "m.login.password"}]}


def login(at: Context) -> object:
    name = str((at.body.get("identifier") or {}).get("user", ""))
    user_id = name if name.startswith("@") else f"@{name}:{SERVER_NAME}"
    if at.world.passwords.get(user_id) != at.body.get("password"):
        raise forbidden("Invalid username or password")
    device = cast(str | None, at.body.get("device_id"))
    made = at.world.log_in(user_id, device, refreshable=bool(at.body.get("refresh_token")))
    return {"user_id": user_id, "device_id": made.device_id, **_tokens(made)}


def refresh(at: Context) -> object:
    given = at.body.get("refresh_token")
    for known in at.world.logins:
        if known.account.refresh_token == given and given and known.state != "gone":
            at.world.refresh(known)
            return _tokens(known)
    raise Refusal(401, "M_UNKNOWN_TOKEN", "invalid refresh token")


def _tokens(of: Login) -> dict[str, object]:
    tokens: dict[str, object] = {"access_token": of.account.access_token}
    if of.account.refresh_token is not None:
        tokens["refresh_token"] = of.account.refresh_token
        tokens["expires_in_ms"] = of.account.expires_in_ms
    return tokens


def logout(at: Context) -> object:
    at.login.state = "gone"
    return {}


def whoami(at: Context) -> object:
    return {"user_id": at.me, "device_id": at.login.device_id, "is_guest": False}
