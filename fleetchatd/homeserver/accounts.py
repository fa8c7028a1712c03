"""The people of the homeserver and their room: made once, found again every other time."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from fleetchatd.connectors.matrix.account import TOKEN_NAME
from fleetchatd.connectors.matrix.api import Api, ApiError, Refused, path
from fleetchatd.connectors.matrix.rooms import create_room, find_room
from fleetchatd.errors import FleetchatError
from fleetchatd.homeserver.config import LOG_NAME, SERVER_NAME
from fleetchatd.homeserver.record import Person, Record
from fleetchatd.model import Secret
from fleetchatd.setup.context import stored_login

DEVICE_ID = "FLEETCHATD"
"""The same for every login: a new one takes the place of the one that was lost."""

ROOM_NAME = "Fleet"
ROOM_ALIAS = "fleet"
_REGISTER = "/_synapse/admin/v1/register"
_READY_TIMEOUT_S = 30.0
_ABANDONED_AFTER_S = 3.0
_POLL_S = 0.1


async def furnish(record: Record, folder: Path, state_dir: Path) -> tuple[Record, Secret]:
    """See that both users are there, the bot is logged in, and both are in the room.

    Args:
        record: of a homeserver that listens.
        folder: where changes of the record are written to, as soon as they are known.
        state_dir: where the bot's login is stored.

    Returns:
        The record, with the room, and the bot's login, not yet stored if it is new.

    Raises:
        FleetchatError: the homeserver does not do as it is told.
    """
    try:
        async with Api(record.base_url) as api:
            await _ready(api)
            if record.room_id is None:
                await _register(api, record.registration_secret, record.operator)
                await _register(api, record.registration_secret, record.bot)
            secret = await _bot_login(api, record.bot, state_dir)
            api.token = secret.value
            if record.room_id is None:
                room_id = await _room(api, record.operator)
                record = record.changed(folder, room_id=room_id)
            assert record.room_id is not None
            await _seat(api, record.room_id, record.operator)
    except ApiError as error:
        raise FleetchatError(
            f"cannot set up the homeserver at {record.base_url}: {error}; see {folder / LOG_NAME},"
            " stop it with `fleetchat homeserver down`, and run this again, or move the folder away"
            " to begin anew"
        ) from error
    return record, secret


async def _ready(api: Api) -> None:
    """Wait until the homeserver answers: it listens a moment before."""
    deadline = asyncio.get_running_loop().time() + _READY_TIMEOUT_S
    while True:
        try:
            await api.request("GET", "/_matrix/client/versions", token=False, timeout_s=10.0)
            return
        except ApiError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_POLL_S)


async def _register(api: Api, secret: str, person: Person) -> None:
    """Make a user ("Shared-Secret Registration" of Synapse's admin API), unless it is there."""
    nonce = str((await api.request("GET", _REGISTER, token=False)).get("nonce"))
    signed = "\0".join([nonce, person.name, person.password, "notadmin"])
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha1)
    body = {
        "nonce": nonce,
        "username": person.name,
        "password": person.password,
        "admin": False,
        "mac": mac.hexdigest(),
        "inhibit_login": True,
    }
    try:
        await api.request("POST", _REGISTER, body=body, token=False)
    except Refused as refusal:
        if refusal.errcode != "M_USER_IN_USE":
            raise


async def _bot_login(api: Api, bot: Person, state_dir: Path) -> Secret:
    """The bot's stored login if the homeserver accepts it, else a new one."""
    stored = stored_login(TOKEN_NAME, state_dir)
    if stored is None or not stored.is_for(api.base_url):
        return await _login(api, bot, DEVICE_ID)
    api.token = stored.value
    try:
        if (await api.request("GET", path("account", "whoami"))).get("user_id") == bot.user_id:
            return replace(stored, servers=(api.base_url,))
    except Refused as refusal:
        if refusal.status != 401:
            raise
    return await _login(api, bot, DEVICE_ID)


async def _login(api: Api, person: Person, device_id: str | None) -> Secret:
    body: dict[str, Any] = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": person.name},
        "password": person.password,
        "initial_device_display_name": f"fleetchatd on {socket.gethostname()}",
    }
    if device_id is not None:
        body["device_id"] = device_id
    answer = await api.request("POST", path("login"), body=body, token=False)
    token, device_id = str(answer.get("access_token")), str(answer.get("device_id"))
    return Secret(token, device_id=device_id, servers=(api.base_url,))


async def _room(api: Api, operator: Person) -> str:
    """The room of that alias: there is never a second one.

    A homeserver that died while it made the room has given the alias away, and the room is empty.
    """
    try:
        return await create_room(api, ROOM_NAME, [operator.user_id], alias=ROOM_ALIAS)
    except Refused as refusal:
        if refusal.errcode != "M_ROOM_IN_USE":
            raise
    alias = f"#{ROOM_ALIAS}:{SERVER_NAME}"
    room_id = await find_room(api, alias)
    if room_id is not None and await _joined_soon(api, room_id):
        return room_id
    await api.request("DELETE", path("directory", "room", alias))
    return await create_room(api, ROOM_NAME, [operator.user_id], alias=ROOM_ALIAS)


async def _joined_soon(api: Api, room_id: str) -> bool:
    """Whether we are in that room. It may still be in the making, for who was killed before us."""
    for _ in range(round(_ABANDONED_AFTER_S / _POLL_S)):
        answer = await api.request("GET", path("joined_rooms"))
        if room_id in (answer.get("joined_rooms") or ()):
            return True
        await asyncio.sleep(_POLL_S)
    return False


async def _seat(api: Api, room_id: str, operator: Person) -> None:
    """Have the operator in the room, so that there is no invitation to find and accept."""
    members = await api.request("GET", path("rooms", room_id, "joined_members"))
    if operator.user_id in (members.get("joined") or ()):
        return
    invitation = {"user_id": operator.user_id}
    await api.request("POST", path("rooms", room_id, "invite"), body=invitation)
    async with Api(api.base_url) as hands:
        hands.token = (await _login(hands, operator, None)).value
        await hands.request("POST", path("join", room_id), body={})
        await hands.request("POST", path("logout"), body={})
