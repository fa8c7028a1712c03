"""Making the room that the conversation is held in ("Creation", POST /createRoom)."""

from __future__ import annotations

from collections.abc import Sequence

from fleetchatd.connectors.matrix.api import Api, Refused, path
from fleetchatd.connectors.matrix.events import id_of
from fleetchatd.connectors.untrusted import one_line


async def find_room(api: Api, alias: str) -> str | None:
    """The id of the room that an alias leads to; None if there is none ("GET /directory/room").

    Raises:
        ApiError: it could not be told.
    """
    try:
        answer = await api.request("GET", path("directory", "room", alias))
    except Refused as refusal:
        if refusal.status == 404 and refusal.errcode == "M_NOT_FOUND":
            return None
        raise
    room_id = id_of(answer.get("room_id"))
    if room_id is None or one_line(room_id, 255) != room_id:
        raise Refused(200, "", f"the lookup of {alias} gave no room")
    return room_id


async def create_room(
    api: Api, name: str, invite: Sequence[str], *, alias: str | None = None
) -> str:
    """Make a private room without encryption, with the same rights for those who are invited.

    Args:
        api: signed in.
        name: what people see.
        invite: user ids.
        alias: a local part; a second room of that alias cannot be made (`M_ROOM_IN_USE`).

    Returns:
        The room's id.

    Raises:
        ApiError: it cannot be made.
    """
    body = {
        # Encryption is the asking client's doing, so that there is none unless the server's
        # administrator has it forced. Guests have no business here.
        "preset": "trusted_private_chat",
        "visibility": "private",
        "name": name,
        "invite": list(invite),
        "initial_state": [
            {"type": "m.room.guest_access", "content": {"guest_access": "forbidden"}}
        ],
    }
    if alias is not None:
        body["room_alias_name"] = alias
    answer = await api.request("POST", path("createRoom"), body=body)
    room_id = id_of(answer.get("room_id"))
    if room_id is None:
        raise Refused(200, "", "and names no room")
    return room_id
