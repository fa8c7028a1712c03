"""The endpoints of the scripted Discord: one table, each row a function of a request (API v10)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.calls import Call
from tests.fakes.discord import messages, threads
from tests.fakes.discord.refusals import Refusal, missing_access, unknown
from tests.fakes.discord.things import Json, User
from tests.fakes.discord.world import World

API = ("api", "v10")
_FLAG_OF_INTENT = {1 << 8: 1 << 13, 1 << 1: 1 << 15, 1 << 15: 1 << 19}
"""Privileged intents, and the application's flags that tell that they are switched on."""
_SNOWFLAKE = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True)
class Context:
    """One request on its way through the table.

    Attributes:
        me: the bot whose token it carries.
        args: the path's variable parts, decoded.
        start_limit: what `GET /gateway/bot` says of identifying.
        gateway_url: and where the gateway is.
        allowed_intents: privileged ones that are switched on in the portal.
    """

    world: World
    call: Call
    me: User
    args: tuple[str, ...]
    start_limit: Json
    gateway_url: str
    allowed_intents: int


@dataclass(frozen=True)
class Route:
    """A row of the table; `*` in a pattern is one variable segment."""

    method: str
    pattern: str
    handler: Callable[[Context], object]

    def match(self, method: str, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        shape = self.pattern.split("/")
        if method != self.method or len(shape) != len(parts):
            return None
        pairs = list(zip(shape, parts, strict=True))
        if any(want not in ("*", have) for want, have in pairs):
            return None
        return tuple(have for want, have in pairs if want == "*")


def find(call: Call) -> tuple[Route, tuple[str, ...]]:
    """The row for a request, and the variable parts of its path.

    Raises:
        Refusal: there is none.
    """
    if call.parts[:2] == API:
        for route in TABLE:
            args = route.match(call.method, call.parts[2:])
            if args is not None:
                return route, args
    raise Refusal(404, 0, "404: Not Found")


def admit(world: World, call: Call, *, refused: bool) -> User:
    """The bot that asks.

    Raises:
        Refusal: its token does not do, or it is not how bots must ask ("Authentication").
    """
    if not call.headers.get("User-Agent", "").startswith("DiscordBot ("):
        raise Refusal(403, 40333, "internal network error")  # so says the wall before the API
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    me = world.bot_with(token) if scheme == "Bot" and not refused else None
    if me is None:
        raise Refusal(401, 0, "401: Unauthorized")
    demand_json(call)
    return me


def demand_json(call: Call) -> None:
    """Refuse a body that is not JSON, or does not say so."""
    if call.body is not None and call.headers.get("Content-Type") != "application/json":
        raise Refusal(400, 50109, "The request body contains invalid JSON.")
    if isinstance(call.body, bytes):
        raise Refusal(400, 50109, "The request body contains invalid JSON.")


def snowflakes(args: tuple[str, ...]) -> None:
    """Refuse what is no id where one must stand."""
    for arg in args:
        if arg != "@me" and ":" not in arg and arg.isascii() and not _SNOWFLAKE.fullmatch(arg):
            error = {"code": "NUMBER_TYPE_COERCE", "message": f'Value "{arg}" is not snowflake.'}
            raise Refusal(400, 50035, "Invalid Form Body", errors={"id": {"_errors": [error]}})


def _gateway_bot(at: Context) -> Json:
    return {"url": at.gateway_url, "shards": 1, "session_start_limit": at.start_limit}


def _me(at: Context) -> Json:
    return at.me.json() | {"mfa_enabled": True, "verified": True, "email": None, "locale": "en-US"}


def application(user: User, allowed_intents: int) -> Json:
    """A bot's application ("Application Object"), as one in less than 100 servers."""
    flags = [flag for intent, flag in _FLAG_OF_INTENT.items() if allowed_intents & intent]
    return {
        "id": user.id,
        "name": user.username,
        "icon": None,
        "description": "",
        "bot_public": False,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "owner": user.json(),
        "team": None,
        "flags": sum(flags),
        "summary": "",
        "bot": user.json(),
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "event_webhooks_url": None,
        "event_webhooks_status": 1,
        "integration_types_config": {"0": {}},
        "hook": True,
        "approximate_guild_count": 1,
        "approximate_user_install_count": 0,
    }


def _application(at: Context) -> Json:
    return application(at.me, at.allowed_intents)


def _guild(at: Context) -> Json:
    if at.args[0] != at.world.guild_id or at.me.id not in at.world.members:
        raise unknown("Guild")
    return guild(at.world)


def guild(world: World) -> Json:
    """The guild, as REST gives it and as the gateway's begins."""
    return {
        "id": world.guild_id,
        "name": "The guild",
        "owner_id": world.owner.id,
        "roles": [role.json() for role in world.roles.values()],
        "emojis": [],
        "stickers": [],
        "features": [],
        "icon": None,
        "icon_hash": None,
        "splash": None,
        "discovery_splash": None,
        "banner": None,
        "description": None,
        "afk_channel_id": None,
        "afk_timeout": 300,
        "application_id": None,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "nsfw": False,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "premium_progress_bar_enabled": False,
        "preferred_locale": "en-US",
        "public_updates_channel_id": None,
        "rules_channel_id": None,
        "safety_alerts_channel_id": None,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "vanity_url_code": None,
        "widget_enabled": False,
        "widget_channel_id": None,
        "max_members": 500_000,
        "max_presences": None,
        "max_video_channel_users": 25,
        "max_stage_video_channel_users": 50,
    }


def _member(at: Context) -> Json:
    guild_id, user_id = at.args
    if guild_id != at.world.guild_id:
        raise unknown("Guild")
    user_id = at.me.id if user_id == "@me" else user_id
    if user_id not in at.world.users:
        raise unknown("User")
    if user_id not in at.world.members:
        raise unknown("Member")
    return at.world.members[user_id].json()


def _channel(at: Context) -> Json:
    channel = at.world.channel(at.args[0])
    if not at.world.may_see(at.me, channel):
        raise missing_access()
    return channel.json()


_M = "channels/*/messages"
TABLE = (
    Route("GET", "gateway/bot", _gateway_bot),
    Route("GET", "users/@me", _me),
    Route("GET", "oauth2/applications/@me", _application),
    Route("GET", "applications/@me", _application),
    Route("GET", "guilds/*", _guild),
    Route("GET", "guilds/*/members/*", _member),
    Route("GET", "guilds/*/threads/active", threads.active),
    Route("GET", "channels/*", _channel),
    Route("PATCH", "channels/*", threads.modify),
    Route("GET", "channels/*/threads/archived/public", threads.archived),
    Route("POST", "channels/*/threads", threads.start),
    Route("PUT", "channels/*/thread-members/@me", threads.join),
    Route("GET", _M, messages.history),
    Route("GET", f"{_M}/*", messages.one),
    Route("POST", _M, messages.create),
    Route("PATCH", f"{_M}/*", messages.edit),
    Route("DELETE", f"{_M}/*", messages.delete),
    Route("POST", f"{_M}/*/threads", threads.start_from_message),
    Route("PUT", f"{_M}/*/reactions/*/@me", messages.react),
)
