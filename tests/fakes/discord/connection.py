"""One connection to the scripted Discord's gateway: frames, compression, opcodes, closings."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from tests.fakes.discord.sessions import Closed, Session
from tests.fakes.discord.things import Json

if TYPE_CHECKING:
    from tests.fakes.discord.gateway import Gateway

_FRAMES_A_MINUTE = 120


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
