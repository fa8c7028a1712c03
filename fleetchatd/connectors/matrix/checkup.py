"""What can be asked of a homeserver to find out whether the conversation will work there.

Each stage asks, and leaves it to judgement.py what the answers mean. One that ends in an error, or
has nothing to look at, is the last one.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fleetchatd.connectors.base import Context
from fleetchatd.connectors.guide import Finding, Settings
from fleetchatd.connectors.matrix import judgement
from fleetchatd.connectors.matrix.account import TOKEN_NAME, Account, WrongAccount
from fleetchatd.connectors.matrix.api import Api, ApiError, Refused, path
from fleetchatd.connectors.matrix.power import power_in
from fleetchatd.connectors.matrix.room import Room
from fleetchatd.connectors.matrix.rooms import find_room
from fleetchatd.connectors.matrix.sync import parse_answer, sync_path
from fleetchatd.connectors.probe import examine_way, finding
from fleetchatd.connectors.untrusted import mapping_of, one_line
from fleetchatd.errors import ElsewhereError, SecretError
from fleetchatd.model import Secret

_VERSIONS = "/_matrix/client/versions"

Stage = Callable[[Api, Settings, Context], Awaitable[Sequence[Finding]]]


async def _server(api: Api, settings: Settings, _: Context) -> Sequence[Finding]:
    found = list(await examine_way(api.base_url + _VERSIONS, about="homeserver_url"))
    if found[-1].level == "error":
        return found
    if "://" not in settings["homeserver_url"]:
        found.insert(0, Finding("ok", f"{settings['homeserver_url']} leads to {api.base_url}"))
    try:
        answer = await api.request("GET", _VERSIONS, token=False)
    except Refused as refusal:
        if refusal.status >= 500:
            return [*found, judgement.out_of_order(api.base_url, refusal.status)]
        if refusal.status == 429:
            raise
        answer = {}
    return [*found, judgement.speaks_matrix(api.base_url, answer)]


async def _login(api: Api, settings: Settings, context: Context) -> Sequence[Finding]:
    user_id = settings.get("user_id")
    try:
        before = context.secret(TOKEN_NAME)
    except SecretError:
        answer = await api.request("GET", path("login"), token=False)
        return [judgement.ways_in(judgement.flows_of(answer), user_id or "@you")]
    if user_id is None:
        return ()
    account = Account(settings, context)
    try:
        account.sign(api)
        await account.verify(api)
    except ElsewhereError as error:
        there = shlex.quote(settings["homeserver_url"])  # no roster may have it yet (`init`)
        remedy = f"log in there: fleetchat login matrix --homeserver-url {there}"
        return [Finding("error", str(error).partition("; ")[0], remedy, TOKEN_NAME)]
    except WrongAccount as wrong:
        what = f"the access token belongs to {wrong}, and not to {user_id}"
        remedy = f"mend connector.matrix.user_id, or log in as {user_id}: fleetchat login matrix"
        return [Finding("error", what, remedy, "user_id")]
    except Refused as refusal:
        if not refusal.unwelcome:
            raise
        return [_refused(refusal, before)]
    renewed = "; its token had expired and was renewed" if api.token != before.value else ""
    return [Finding("ok", f"logged in as {user_id}{await _device(api, account)}{renewed}")]


def _refused(refusal: Refused, secret: Secret) -> Finding:
    """What a homeserver says that knows the token no more, or the account."""
    why = "it has expired" if refusal.soft_logout else f"{refusal.errcode}: {refusal.reason}"
    remedy = "log in again: fleetchat login matrix"
    if secret.replaces is not None:  # what is configured outranks a login
        remedy = (
            f"give another in its place ($CREDENTIALS_DIRECTORY/{TOKEN_NAME} or"
            f" ${TOKEN_NAME.upper()}), or take it away there and run fleetchat login matrix"
        )
    what = f"the homeserver refuses the access token ({why})"
    return Finding("error", what, remedy, TOKEN_NAME)


async def _device(api: Api, account: Account) -> str:
    """Which device it is, as far as that can be told."""
    if account.device_id is None:
        return ""
    try:
        answer = await api.request("GET", path("devices", account.device_id))
    except Refused:
        answer = {}
    name = one_line(answer.get("display_name"), 60)
    return f", device {one_line(account.device_id, 60)}" + (f" ({name})" if name else "")


async def _room(api: Api, settings: Settings, _: Context) -> Sequence[Finding]:
    place = settings.get("room_id")
    if place is None or api.token is None:
        return ()
    try:
        room_id = place if place.startswith("!") else await find_room(api, place)
    except Refused as refusal:  # the alias's own server is down, perhaps, or is none
        remedy = "try again in a moment, or mend connector.matrix.room_id in the roster"
        return [finding("error", f"cannot look up room {place}: {refusal}", "room_id", remedy)]
    if room_id is None:
        remedy = "mend connector.matrix.room_id in the roster"
        return [Finding("error", f"there is no room {place}", remedy, "room_id")]
    found = [] if place == room_id else [Finding("ok", f"{place} leads to room {room_id}")]
    allowed = settings.get("allowed_senders")
    allowed = None if allowed is None else frozenset(allowed)
    room, state = await _seen(api, Room(room_id, settings["user_id"]))
    found += judgement.standing(room, allowed)
    if room.membership == "join":
        state = [*state, *await _creation(api, room_id, state)]
        found.append(judgement.may_write(power_in(state, room.me), room))
        where = path("rooms", room_id, "members") + "?not_membership=leave"
        people = judgement.people_of(await api.request("GET", where))
        found += judgement.company(people, room.me, allowed)
    return found


async def _seen(api: Api, room: Room) -> tuple[Room, Sequence[Any]]:
    """The room as it stands now, and its state events."""
    where = sync_path(room.room_id, since=None, limit=1, timeout_ms=0, nonce=secrets.token_hex(4))
    answer = parse_answer(await api.request("GET", where), room.room_id)
    if answer is None:
        raise Refused(200, "", "to /sync with something else than an answer to it")
    state = [*answer.state, *answer.timeline]
    for raw in state:
        room.apply(raw)
    if answer.place == "join":
        room.membership = "join"
    elif room.membership is None:
        room.apply(await _parting(api, room))
    return room, state


async def _parting(api: Api, room: Room) -> object:
    """How we left: the room may still tell, and not every `/sync` does."""
    where = path("rooms", room.room_id, "state", "m.room.member", room.me)
    try:
        content = await api.request("GET", where)
    except Refused:
        return None
    if content.get("membership") not in ("leave", "ban"):
        return None
    return {"type": "m.room.member", "state_key": room.me, "content": content}


async def _creation(api: Api, room_id: str, state: Sequence[Any]) -> Sequence[Any]:
    """The event that made the room, if it is missing from its state: who made it has power.

    Synapse leaves it out of a `/sync` for one room of version 12 or later, as it names no room.
    The room's id is made of its id ("Room IDs as hashes of the create event").
    """
    if any(mapping_of(raw).get("type") == "m.room.create" for raw in state):
        return ()
    try:
        return [await api.request("GET", path("rooms", room_id, "event", f"${room_id[1:]}"))]
    except Refused:
        return ()


STAGES: Sequence[Stage] = (_server, _login, _room)


def broken_off(error: ApiError, base_url: str) -> Finding:
    """What is told where a homeserver gives no answer to work with."""
    what = f"cannot look further at {base_url}: {error}"
    return finding("error", what, None, "try again in a moment")
