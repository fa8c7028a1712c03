"""Rooms, and who is in them."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.context import Context
from tests.fakes.room import SERVER_NAME, Refusal, forbidden


def create_room(at: Context) -> object:
    body = at.body
    alias = body.get("room_alias_name")
    public = body.get("preset") == "public_chat"
    room = at.world.add_room(
        at.me,
        invite=body.get("invite", ()),
        join_rule="public" if public else "invite",
        version=body.get("room_version", "12"),
        initial_state=body.get("initial_state", ()),
        alias=f"#{alias}:{SERVER_NAME}" if alias else None,
    )
    return {"room_id": room.room_id}


def alias(at: Context) -> object:
    room = at.world.find(at.args[0])
    return {"room_id": room.room_id, "servers": [SERVER_NAME]}


def joined_rooms(at: Context) -> object:
    return {"joined_rooms": [room.room_id for room in at.world.rooms_of(at.me, "join")]}


def join(at: Context) -> object:
    room = at.world.find(at.args[0])
    now = room.membership(at.me)
    rule = room.state["m.room.join_rules", ""].content.get("join_rule")
    if now == "ban":
        raise Refusal(403, "M_BAD_STATE", "You are banned from this room.")
    if now not in ("invite", "join") and rule != "public":
        raise forbidden("You are not invited to this room.")
    if now != "join":
        room.join(at.me)
    return {"room_id": room.room_id}


def leave(at: Context) -> object:
    room = at.world.room(at.args[0])
    if room.membership(at.me) not in ("join", "invite"):
        raise forbidden(f"User {at.me} not in room {room.room_id}")
    room.set_membership(at.me, "leave")
    return {}


def change_member(membership: str) -> Callable[[Context], object]:
    def change(at: Context) -> object:
        target = str(at.body.get("user_id"))
        at.room().set_membership(target, membership, at.me, at.body.get("reason"))
        return {}

    return change


def display_name(at: Context) -> object:
    at.world.names[at.me] = str(at.body.get("displayname"))
    for room in at.world.rooms_of(at.me, "join"):
        room.join(at.me)
    return {}
