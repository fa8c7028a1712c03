"""Sessions of the scripted Discord's gateway: what is told to whom, and kept to be told again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fakes.discord.routes import application, guild
from tests.fakes.discord.things import Json, User
from tests.fakes.discord.world import World

if TYPE_CHECKING:
    from tests.fakes.discord.connection import Line

GUILDS, GUILD_MEMBERS, GUILD_MESSAGES, REACTIONS = 1 << 0, 1 << 1, 1 << 9, 1 << 10
MESSAGE_CONTENT, PRESENCES = 1 << 15, 1 << 8
_ALL_INTENTS = (1 << 26) - 1
_PRIVILEGED = GUILD_MEMBERS | PRESENCES | MESSAGE_CONTENT
_INTENT_OF = {"MESSAGE_REACTION": REACTIONS, "MESSAGE": GUILD_MESSAGES}


class Closed(Exception):  # noqa: N818 - reads as the outcome that it is
    """Close the connection with this code ("Gateway close event codes")."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code


@dataclass
class Session:
    """What a bot resumes.

    Attributes:
        log: everything that was dispatched, with its number.
        line: its present connection; None while it has none.
    """

    user: User
    intents: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    seq: int = 0
    log: list[Json] = field(default_factory=list)
    line: Line | None = None

    def dispatch(self, name: str, data: Json) -> None:
        self.seq += 1
        frame = {"op": 0, "s": self.seq, "t": name, "d": data}
        self.log.append(frame)
        if self.line is not None:
            self.line.send(frame)

    def wants(self, name: str, user: User | None) -> bool:
        if name == "GUILD_MEMBER_UPDATE":  # of itself a bot hears without asking
            return bool(self.intents & GUILD_MEMBERS) or self.user is user
        for head, intent in _INTENT_OF.items():
            if name.startswith(head):
                return bool(self.intents & intent)
        return bool(self.intents & GUILDS)


def ready(session: Session, allowed_intents: int, resume_url: str, guild_id: str) -> Json:
    """What a new session is told first."""
    of_it = application(session.user, allowed_intents)
    return {
        "v": 10,
        "user": session.user.json() | {"verified": True, "mfa_enabled": True, "email": None},
        "guilds": [{"id": guild_id, "unavailable": True}],
        "session_id": session.id,
        "resume_gateway_url": resume_url,
        "session_type": "normal",
        "private_channels": [],
        "relationships": [],
        "shard": [0, 1],
        "application": {key: of_it[key] for key in ("id", "flags")},
    }


def guild_create(session: Session, world: World) -> Json:
    """What a member's new session is told of its guild."""
    seen = [one for one in world.channels.values() if world.may_see(session.user, one)]
    return guild(world) | {
        "joined_at": world.members[session.user.id].joined_at,
        "large": False,
        "unavailable": False,
        "member_count": len(world.members),
        "voice_states": [],
        "members": [world.members[session.user.id].json()],
        "channels": [one.json() for one in world.channels.values() if not one.is_thread],
        "threads": [one.json() for one in seen if one.is_thread and not one.archived],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def intents_of(data: Json, allowed: int) -> int:
    intents = data.get("intents")
    if type(intents) is not int or intents & ~_ALL_INTENTS:
        raise Closed(4013, "Invalid intent(s).")
    if intents & _PRIVILEGED & ~allowed:
        raise Closed(4014, "Disallowed intent(s).")
    return intents


def as_told(session: Session, name: str, data: Json) -> Json:
    """A dispatch as this session gets it: without the words, if it may not read them."""
    if not name.startswith("MESSAGE_") or "content" not in data:
        return data
    own = data["author"]["id"] == session.user.id
    told = {key: value for key, value in data.items() if own or key != "nonce"}
    if own or session.intents & MESSAGE_CONTENT:
        return told
    return told | {"content": "", "attachments": [], "embeds": [], "components": []}
