"""The scripted Discord's gateway: sessions that outlive their connections ("Gateway", v10)."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.discord.routes import application, guild
from tests.fakes.discord.things import Channel, Json, User
from tests.fakes.discord.world import World

GUILDS, GUILD_MEMBERS, GUILD_MESSAGES, REACTIONS = 1 << 0, 1 << 1, 1 << 9, 1 << 10
MESSAGE_CONTENT, PRESENCES = 1 << 15, 1 << 8
_ALL_INTENTS = (1 << 26) - 1
_PRIVILEGED = GUILD_MEMBERS | PRESENCES | MESSAGE_CONTENT
_INTENT_OF = {"MESSAGE_REACTION": REACTIONS, "MESSAGE": GUILD_MESSAGES}
_FRAMES_A_MINUTE = 120


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
                session.dispatch(name, _for(session, name, data))

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
        session = Session(user, _intents(data, self.allowed_intents))
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
        guild_id = world.guild_id
        of_it = application(session.user, self.allowed_intents)
        ready = {
            "v": 10,
            "user": session.user.json() | {"verified": True, "mfa_enabled": True, "email": None},
            "guilds": [{"id": guild_id, "unavailable": True}],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "session_type": "normal",
            "private_channels": [],
            "relationships": [],
            "shard": [0, 1],
            "application": {key: of_it[key] for key in ("id", "flags")},
        }
        session.dispatch("READY", ready)
        if session.user.id not in world.members:
            return
        seen = [one for one in world.channels.values() if world.may_see(session.user, one)]
        session.dispatch(
            "GUILD_CREATE",
            guild(world)
            | {
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
            },
        )

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


class Line:
    """One connection.

    Attributes:
        mute: nothing is acknowledged and nothing told on it: a zombie.
    """

    def __init__(
        self, gateway: Gateway, socket: web.WebSocketResponse, request: web.Request
    ) -> None:
        self.session: Session | None = None
        self.mute = False
        self._gateway = gateway
        self._socket = socket
        self._request = request
        self._query = request.query
        self._frames: asyncio.Queue[str] = asyncio.Queue()
        self._packer = zlib.compressobj() if self._packs else None
        self._times: list[float] = []

    @property
    def _packs(self) -> bool:
        return self._query.get("compress") == "zlib-stream"

    def send(self, frame: Json) -> None:
        # Escaped to ASCII, so that a lone surrogate can be sent.
        self.send_text(json.dumps(frame))

    def send_text(self, text: str) -> None:
        if not self.mute:
            self._frames.put_nowait(text)

    async def close(self, code: int) -> None:
        self._detach()
        await self._socket.close(code=code)

    def abort(self) -> None:
        self._detach()
        if self._request.transport is not None:
            self._request.transport.abort()

    def hang_up(self) -> None:
        self._detach()

    def _detach(self) -> None:
        if self.session is not None and self.session.line is self:
            self.session.line = None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write())
            try:
                self._check_query()
                self.send(_op(10, {"heartbeat_interval": self._gateway.heartbeat_interval_ms}))
                await self._read()
            except Closed as closing:
                await self._socket.close(code=closing.code, message=str(closing).encode())
            finally:
                writing.cancel()

    def _check_query(self) -> None:
        if self._query.get("v") != "10":
            raise Closed(4012, "Invalid API version.")
        if self._query.get("encoding") != "json" or self._query.get("compress") not in (
            None,
            "zlib-stream",
        ):
            raise Closed(4002, "Error while decoding payload.")

    async def _write(self) -> None:
        while True:
            text = await self._frames.get()
            with suppress(ConnectionError):  # the reader sees it, too
                if self._packer is None:
                    await self._socket.send_str(text)
                else:
                    packed = self._packer.compress(text.encode())
                    packed += self._packer.flush(zlib.Z_SYNC_FLUSH)
                    await self._socket.send_bytes(packed)

    async def _read(self) -> None:
        patience_s = self._gateway.heartbeat_interval_ms / 1000 * 2 + 5
        for beats in itertools.count():
            try:
                message = await self._socket.receive(timeout=patience_s)
            except TimeoutError:
                raise Closed(4009, "Session timed out.") from None
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            self._count(beats)
            self._handle(_decoded(message.data))

    def _count(self, beats: int) -> None:
        at = time.monotonic()
        self._times = [time_ for time_ in self._times if at - time_ < 60]
        self._times.append(at)
        # Tests beat faster than Discord would have it; that is not what this is for.
        usual = beats and self._gateway.heartbeat_interval_ms > 2000
        if usual and len(self._times) > _FRAMES_A_MINUTE:
            raise Closed(4008, "Rate limited.")

    def _handle(self, frame: Json) -> None:
        op, data = frame.get("op"), frame.get("d")
        if op == 1:
            self.send(_op(11))
        elif op in (2, 6) and self.session is not None:
            raise Closed(4005, "Already authenticated.")
        elif op == 2 and isinstance(data, dict):
            self.session = self._gateway.identify(self, data)
            if self.session is None:
                self.send(_op(9, False))
        elif op == 6 and isinstance(data, dict):
            self.session = self._gateway.resume(self, data)
            if self.session is None:
                self.send(_op(9, False))
        elif self.session is None:
            raise Closed(4003, "Not authenticated.")
        elif op not in (3, 4, 8):
            raise Closed(4001, "Unknown opcode.")


def _op(op: int, data: Any = None) -> Json:
    return {"op": op, "d": data, "s": None, "t": None}


def _decoded(raw: str | bytes) -> Json:
    try:
        frame = json.loads(raw)
    except ValueError:
        raise Closed(4002, "Error while decoding payload.") from None
    if not isinstance(frame, dict):
        raise Closed(4002, "Error while decoding payload.")
    return frame


def _intents(data: Json, allowed: int) -> int:
    intents = data.get("intents")
    if type(intents) is not int or intents & ~_ALL_INTENTS:
        raise Closed(4013, "Invalid intent(s).")
    if intents & _PRIVILEGED & ~allowed:
        raise Closed(4014, "Disallowed intent(s).")
    return intents


def _for(session: Session, name: str, data: Json) -> Json:
    """A dispatch as this session gets it: without the words, if it may not read them."""
    if not name.startswith("MESSAGE_") or "content" not in data:
        return data
    own = data["author"]["id"] == session.user.id
    told = {key: value for key, value in data.items() if own or key != "nonce"}
    if own or session.intents & MESSAGE_CONTENT:
        return told
    return told | {"content": "", "attachments": [], "embeds": [], "components": []}
