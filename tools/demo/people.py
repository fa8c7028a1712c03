"""The two who talk: Ann in her room, and the orchestrator behind `fleetchat`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.human import Human, RawEvent
from tests.harness.matrix_http import path

FLEETCHAT = str(Path(sys.executable).with_name("fleetchat"))
NO_DAEMON = 69  # fleetchat's exit code (EX_UNAVAILABLE)
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Heard:
    """Something that has arrived.

    Attributes:
        what: `""` for a plain message, else what makes it special.
    """

    id: str
    text: str
    what: str = ""


class Ear:
    """What one side has heard so far, in order."""

    def __init__(self, arrived: Callable[[Heard], None]) -> None:
        self.heard: list[Heard] = []
        self._arrived = arrived
        self._news = asyncio.Event()

    def take(self, heard: Heard) -> None:
        """Note one arrival and wake whoever waits for it."""
        self.heard.append(heard)
        self._arrived(heard)
        self._news.set()

    async def hears(self, text: str) -> Heard:
        """Wait until `text` has arrived.

        Raises:
            TimeoutError: it has not, within a minute.
        """
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._news.clear()
                for heard in self.heard:
                    if heard.text == text:
                        return heard
                await self._news.wait()


class Ann:
    """The operator: an ordinary client of the homeserver. She knows nothing of fleetchatd."""

    def __init__(self, human: Human, ear: Ear) -> None:
        self.human = human
        self.ear = ear

    async def listen(self) -> None:
        """Follow the room as any client does, with a long poll; endless."""
        everything = json.dumps({"room": {"timeline": {"limit": 100}}})
        query = {"timeout": "0", "filter": everything}
        while True:
            answer = await self.human.ask("GET", path("sync"), query=query)
            rooms = answer.body["rooms"]["join"] if "rooms" in answer.body else {}
            for event in rooms.get(self.human.room_id, {}).get("timeline", {}).get("events", []):
                self._see(event)
            query |= {"timeout": "30000", "since": answer.body["next_batch"]}

    def _see(self, event: RawEvent) -> None:
        if event["type"] != "m.room.message" or event["sender"] == self.human.user_id:
            return
        content = event["content"]
        relation = content.get("m.relates_to", {})
        marks = ["in the thread"] if relation.get("rel_type") == "m.thread" else []
        marks += ["with HTML"] if "formatted_body" in content else []
        self.ear.take(Heard(event["event_id"], content["body"], ", ".join(marks)))


class Orchestrator:
    """The agent: knows the command `fleetchat`, and nothing of Matrix."""

    def __init__(self, name: str, socket: Path, ear: Ear) -> None:
        self.name = name
        self.ear = ear
        self.repeats = 0
        self._command = [FLEETCHAT, "--socket", str(socket), "--json"]
        self._last_seq = 0
        self._sent = 0

    async def listen(self) -> None:
        """Run `fleetchat subscribe` and take what it prints; endless."""
        feed = await asyncio.create_subprocess_exec(
            *self._command,
            *("subscribe", "--name", self.name),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert feed.stdout is not None
        try:
            while line := await feed.stdout.readline():
                self._see(json.loads(line))
            raise RuntimeError(f"fleetchat subscribe ended ({await feed.wait()})")
        finally:
            if feed.returncode is None:
                feed.kill()
                await feed.wait()

    def _see(self, event: dict[str, Any]) -> None:
        # Delivery is at least once; the seq tells what was there before.
        if event["seq"] <= self._last_seq:
            self.repeats += 1
            return
        self._last_seq = event["seq"]
        if event["type"] == "reaction":
            self.ear.take(Heard(event["id"], event["key"], "reaction"))
        elif event["type"] == "edit":
            self.ear.take(Heard(event["id"], event["text"], "edit"))
        elif event["type"] == "message":
            thread = "in the thread" if event["thread_id"] else ""
            self.ear.take(Heard(event["id"], event["text"], thread))

    async def send(self, text: str, *options: str) -> int:
        """Run `fleetchat send` until a daemon has taken the message; return how often in vain.

        Its key makes that safe: however often it is sent, it is one message.
        """
        self._sent += 1
        in_vain = 0
        deadline = time.monotonic() + PATIENCE_S
        while True:
            run = await asyncio.create_subprocess_exec(
                *self._command,
                *("send", "--key", f"demo-{self._sent}", *options, "--", text),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await run.communicate()
            if run.returncode == 0:
                return in_vain
            # 69: nobody is there. 1: the daemon died between our request and its answer.
            if run.returncode not in (1, NO_DAEMON) or time.monotonic() > deadline:
                raise RuntimeError(f"fleetchat send failed ({run.returncode}): {said.decode()}")
            in_vain += 1
            await asyncio.sleep(0.1)
