"""The scripted Discord's gateway: sessions that outlive their connections ("Gateway", v10)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.fakes.discord.connection import Line
from tests.fakes.discord.sessions import (
    MESSAGE_CONTENT,
    Closed,
    Session,
    as_told,
    guild_create,
    intents_of,
    ready,
)
from tests.fakes.discord.things import Channel, Json, User
from tests.fakes.discord.world import World


@dataclass
class Identify:
    """One IDENTIFY that came: when (loop time, in seconds), and whether it was taken."""

    at: float
    taken: bool


class Gateway:
    """All sessions and connections.

    Attributes:
        heartbeat_interval_ms: what HELLO asks for.
        identify_every_s: identifying twice within that gets op 9.
        remaining: how many times one may still identify.
        reset_after_ms: when that begins anew, as `GET /gateway/bot` says.
        refusing: HTTP status for new connections; None lets them in.
        close_identify: close codes for the next attempts to identify, in turn.
        allowed_intents: privileged ones that are switched on in the portal.
        identifies, resumes: what came.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.url = ""
        self.heartbeat_interval_ms = 41_250
        self.identify_every_s = 5.0
        self.total = self.remaining = 1000
        self.reset_after_ms = 0
        self.refusing: int | None = None
        self.close_identify: list[int] = []
        self.allowed_intents = MESSAGE_CONTENT
        self.identifies: list[Identify] = []
        self.resumes: list[bool] = []
        self.sessions: dict[str, Session] = {}
        self.lines: set[Line] = set()
        self._last_identify = float("-inf")

    @property
    def start_limit(self) -> Json:
        return {
            "total": self.total,
            "remaining": self.remaining,
            "reset_after": self.reset_after_ms,
            "max_concurrency": 1,
        }

    # What a test lets happen

    def happened(self, name: str, data: Json, channel: Channel | None) -> None:
        """Tell every session that may know."""
        user = self.world.users.get(data.get("user", {}).get("id", "")) if not channel else None
        for session in list(self.sessions.values()):
            if channel is not None and not self._sees(session, name, channel):
                continue
            if session.wants(name, user):
                session.dispatch(name, as_told(session, name, data))

    def _sees(self, session: Session, name: str, channel: Channel) -> bool:
        if name.startswith("CHANNEL_") or channel.id not in self.world.channels:
            return True  # Discord tells of channels also to bots that may not look into them
        return self.world.may_see(session.user, channel)

    async def close_all(self, code: int = 1001) -> None:
        """Close every connection; the sessions stay."""
        for line in list(self.lines):
            await line.close(code)

    def drop_all(self) -> None:
        """Cut every connection without a word."""
        for line in list(self.lines):
            line.abort()

    def mute_all(self) -> None:
        """Make zombies of the present connections: open, and dead."""
        for line in self.lines:
            line.mute = True

    def say_to_all(self, op: int, data: Any = None) -> None:
        """Send an opcode: 7 (reconnect), 9 (invalid session), 1 (heartbeat, please)."""
        for line in list(self.lines):
            line.send({"op": op, "d": data, "s": None, "t": None})

    def garble(self, text: str) -> None:
        """Send anything at all in the place of a frame."""
        for line in list(self.lines):
            line.send_text(text)

    def forget_sessions(self) -> None:
        """Whoever resumes from now on gets op 9."""
        for session in self.sessions.values():
            session.line = None
        self.sessions.clear()

    # Serving

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.refusing is not None:
            return web.Response(status=self.refusing)
        # Discord ignores the WebSocket's own compression, and compresses by its own rules.
        socket = web.WebSocketResponse(autoping=True, compress=False, max_msg_size=4096)
        await socket.prepare(request)
        line = Line(self, socket, request)
        self.lines.add(line)
        try:
            await line.run()
        finally:
            line.hang_up()
            self.lines.discard(line)
        return socket

    def identify(self, line: Line, data: Json) -> Session | None:
        """Begin a session; None for an attempt that is too soon.

        Raises:
            Closed: it is refused for good.
        """
        at = asyncio.get_running_loop().time()
        self.remaining -= 1
        refused = self.close_identify.pop(0) if self.close_identify else None
        soon = at - self._last_identify < self.identify_every_s
        self._last_identify = at
        self.identifies.append(Identify(at, taken=refused is None and not soon))
        if refused is not None:
            raise Closed(refused, "scripted")
        if soon:
            return None
        user = self._user(data)
        session = Session(user, intents_of(data, self.allowed_intents))
        self.sessions[session.id] = session
        session.line = line
        self._greet(session)
        return session

    def _user(self, data: Json) -> User:
        token = str(data.get("token", "")).removeprefix("Bot ")
        user = self.world.bot_with(token)
        if user is None or self.remaining < 0:
            raise Closed(4004, "Authentication failed.")
        properties = data.get("properties")
        if not isinstance(properties, dict) or not {"os", "browser", "device"} <= properties.keys():
            raise Closed(4002, "Error while decoding payload.")
        return user

    def _greet(self, session: Session) -> None:
        world = self.world
        first = ready(session, self.allowed_intents, self.url, world.guild_id)
        session.dispatch("READY", first)
        if session.user.id in world.members:
            session.dispatch("GUILD_CREATE", guild_create(session, world))

    def resume(self, line: Line, data: Json) -> Session | None:
        """Go on with a session, replaying what was missed; None if there is none."""
        session = self.sessions.get(str(data.get("session_id")))
        token = str(data.get("token", "")).removeprefix("Bot ")
        known = session is not None and session.user.token == token
        self.resumes.append(known)
        if session is None or not known:
            return None
        seq = data.get("seq")
        if type(seq) is not int or not 0 <= seq <= session.seq:
            raise Closed(4007, "Invalid seq.")
        session.line = line
        for frame in session.log[seq:]:
            line.send(frame)
        session.dispatch("RESUMED", {"_trace": ["scripted"]})
        return session
