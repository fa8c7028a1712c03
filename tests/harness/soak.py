"""A long conversation in several threads, held over any deaths, and what must be true of it after.

What was said is known by its text: every text is said once. So what arrived can be compared with
what was said, line by line, however many processes died in between.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import aiohttp

from tests.harness.daemon import Daemon
from tests.harness.human import Human
from tests.harness.matrix_http import MatrixError
from tests.harness.rooms import Furnished
from tests.harness.soak_children import Subscriber, send_by_program
from tests.harness.waiting import eventually

Json = dict[str, Any]
Way = Literal["heard", "sent"]
Say = Callable[[str, str | None], Awaitable[str]]
"""A person says a text in a thread, for certain; gives the event's id."""


def seed() -> int:
    """`$FLEETCHATD_TEST_SEED`, else a fresh one."""
    named = os.environ.get("FLEETCHATD_TEST_SEED")
    return int(named) if named else secrets.randbelow(2**32)


def chance(seed: int, who: str) -> Random:
    """Somebody's own dice: what one does never shifts what another one does."""
    return Random(f"{seed} {who}")


class Progress:
    """How far a run has come, from 0 to 1; what is said is spread over it.

    Without it, a fast machine would have said everything before the first process dies.
    """

    def __init__(self) -> None:
        self._share = 0.0
        self._moved = asyncio.Condition()

    @property
    def over(self) -> bool:
        return self._share >= 1.0

    async def move(self, share: float) -> None:
        async with self._moved:
            self._share = share
            self._moved.notify_all()

    async def reached(self, share: float) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._share >= share)


@dataclass
class Line:
    """The main line or a thread of it; what is said there keeps its order.

    Attributes:
        heard: texts that the person has said, in order.
        sent: texts that the fleet has sent, in order.
    """

    name: str
    thread_id: str | None = None
    heard: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)


class Discrepancy(AssertionError):  # noqa: N818 - what a test reports
    """What arrived is not what was said.

    Attributes:
        texts: those concerned.
    """

    def __init__(self, sentences: Sequence[str], texts: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.texts = texts


class Conversation:
    """A person and the fleet, talking in a main line and two threads.

    Args:
        room: where.
        daemon: the fleet's.
        subscriber: who hears for the fleet.
        say: how the person speaks.
        by_program: the main line is sent by `fleetchat send`, as a script would.
    """

    def __init__(
        self,
        room: Furnished,
        daemon: Daemon,
        subscriber: Subscriber,
        say: Say,
        *,
        by_program: bool = False,
    ) -> None:
        self.main = Line("main")
        self.lines = [self.main]
        self._room = room
        self._daemon = daemon
        self._subscriber = subscriber
        self._say = say
        self._by_program = by_program
        self._words: dict[Way, asyncio.Event] = {"heard": asyncio.Event(), "sent": asyncio.Event()}

    async def open_threads(self) -> None:
        """The person says what the two threads are about."""
        for name in ("red", "blue"):
            thread_id = await self.person_says(self.main, f"about {name}")
            self.lines.append(Line(name, thread_id))

    async def person_says(self, line: Line, text: str) -> str:
        line.heard.append(text)
        self._begins("heard")
        return await self._say(text, line.thread_id)

    async def fleet_says(self, line: Line, text: str) -> None:
        """Send it until it is accepted; its text is its key."""
        line.sent.append(text)
        self._begins("sent")
        if self._by_program and line is self.main:
            await asyncio.to_thread(send_by_program, self._daemon.socket, text)
        else:
            await self._daemon.api.send_surely(text, key=text, thread_id=line.thread_id)

    def _begins(self, way: Way) -> None:
        self._words[way].set()
        self._words[way] = asyncio.Event()

    async def next_word(self, way: Way, longest_s: float) -> None:
        """Wait until something more begins to be said; no longer than `longest_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._words[way].wait()

    async def arrived(self, timeout_s: float) -> None:
        """Wait until all that was said is there, on both sides."""
        heard, sent = self._all_heard(), self._all_sent()

        async def probe() -> bool:
            if not heard <= {event["text"] for event in self._subscriber.events()}:
                return False
            return sent <= set(await self._room.said_by_bot())

        try:
            await eventually("all that was said there", probe, timeout_s=timeout_s, pause_s=0.5)
        except AssertionError:
            await self.check()  # says what is missing
            raise

    def _all_heard(self) -> set[str]:
        return {text for line in self.lines for text in line.heard}

    def _all_sent(self) -> set[str]:
        return {text for line in self.lines for text in line.sent}

    async def check(self) -> None:
        """Everything arrived once and in its thread's order.

        Raises:
            Discrepancy: it did not.
        """
        room = [
            (said["content"]["body"], _thread_of(said["content"]))
            for said in await self._room.human.messages(sender=self._room.bot.user_id)
        ]
        events = self._subscriber.events()
        heard = [(event["text"], event["thread_id"]) for event in events]
        problems = _repeated_ids(events)
        texts: list[str] = []
        for line in self.lines:
            for where, wanted, found in (
                ("in the room", line.sent, _of(line, room)),
                ("at the subscriber", line.heard, _of(line, heard)),
            ):
                sentences, concerned = compare(wanted, found)
                problems += [f"{line.name} line {where}: {sentence}" for sentence in sentences]
                texts += concerned
        known = self._all_sent() | self._all_heard()
        problems += [f"nobody said {text!r}" for text, _ in (*room, *heard) if text not in known]
        if problems:
            raise Discrepancy(problems, texts)


def _of(line: Line, said: Sequence[tuple[str, str | None]]) -> list[str]:
    return [text for text, thread_id in said if thread_id == line.thread_id]


def _thread_of(content: Json) -> str | None:
    relation = content.get("m.relates_to", {})
    return relation.get("event_id") if relation.get("rel_type") == "m.thread" else None


def _repeated_ids(events: Sequence[Json]) -> list[str]:
    counted = Counter(event["id"] for event in events)
    return [f"{event_id} has {count} seqs" for event_id, count in counted.items() if count > 1]


def compare(wanted: Sequence[str], found: Sequence[str]) -> tuple[list[str], list[str]]:
    """How `found` differs from `wanted`: sentences, and the texts concerned."""
    counted = Counter(found)
    lost = [text for text in wanted if text not in counted]
    doubled = [text for text, count in counted.items() if count > 1]
    strays = [text for text in counted if text not in set(wanted)]
    place = {text: number for number, text in enumerate(wanted)}
    order = [text for text in dict.fromkeys(found) if text in place]
    late = [after for before, after in itertools.pairwise(order) if place[after] < place[before]]
    kinds = {"lost": lost, "doubled": doubled, "not of this line": strays, "out of order": late}
    sentences = [f"{len(texts)} {kind}: {texts[:10]}" for kind, texts in kinds.items() if texts]
    return sentences, [text for texts in kinds.values() for text in texts]


def surely(human: Human) -> Say:
    """How a person speaks whose homeserver may die: again under the same id until it answers."""

    async def say(text: str, thread_id: str | None) -> str:
        content: Json = {"msgtype": "m.text", "body": text}
        if thread_id is not None:
            content["m.relates_to"] = {
                "rel_type": "m.thread",
                "event_id": thread_id,
                "is_falling_back": True,
                "m.in_reply_to": {"event_id": thread_id},
            }
        txn = secrets.token_hex(8)

        async def attempt() -> str | None:
            try:
                return await human.send_raw("m.room.message", content, txn=txn)
            except aiohttp.ClientError:
                return None
            except MatrixError as error:
                if error.status < 500:
                    raise
                return None

        return await eventually(f"{text!r} said", attempt, timeout_s=60)

    return say
