"""What the two say to each other, and whether all of it has arrived."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from tests.harness.daemon import Daemon
from tools.demo.people import Ann, Heard, Orchestrator
from tools.demo.screen import Screen

BURST = 12
PACE_S = 0.12


@dataclass
class Record:
    """What one side has said: the words, and when."""

    said: list[str] = field(default_factory=list)
    when: dict[str, float] = field(default_factory=dict)

    def say(self, text: str) -> str:
        """Note that `text` is being said now."""
        self.said.append(text)
        self.when[text] = time.monotonic()
        return text

    def took_s(self, text: str) -> float | None:
        """How long ago it was said, in seconds."""
        return time.monotonic() - self.when[text] if text in self.when else None

    def verdict(self, heard: list[Heard]) -> str | None:
        """What is wrong with what the other side has heard; None if it is all, once, in order."""
        texts = [item.text for item in heard]
        if texts == self.said:
            return None
        lost = [text for text in self.said if text not in texts]
        doubled = sorted({text for text in texts if texts.count(text) > self.said.count(text)})
        return f"lost {lost}, doubled {doubled}" if lost or doubled else "out of order"


class Conversation:
    """One conversation, with a crash in the middle."""

    def __init__(self, screen: Screen, daemon: Daemon) -> None:
        self.screen = screen
        self.daemon = daemon
        self.by_ann = Record()
        self.by_mos = Record()

    def ann_heard(self, heard: Heard) -> None:
        """Show what has arrived in the room."""
        self.screen.heard("mos", "ann", heard.text, heard.what, self.by_mos.took_s(heard.text))

    def mos_heard(self, heard: Heard) -> None:
        """Show what has arrived at the orchestrator."""
        self.screen.heard("ann", "mos", heard.text, heard.what, self.by_ann.took_s(heard.text))

    async def talk(self, ann: Ann, mos: Orchestrator) -> None:
        """A question, an answer, a reaction, a thread, an edit."""
        question = await ann.human.say(self.by_ann.say("Is release 1.3 ready?"))
        asked = await mos.ear.hears("Is release 1.3 ready?")
        answer = self.by_mos.say(
            "Nearly. *Two* tests are still red:\n- `test_login`\n- `test_sync`"
        )
        await mos.send(answer)
        seen = await ann.ear.hears(answer)
        await ann.human.react(seen.id, self.by_ann.say("👀"))
        await mos.ear.hears("👀")
        await mos.send(self.by_mos.say("test_login is mended."), "--thread", asked.id)
        await ann.ear.hears("test_login is mended.")
        await ann.human.say(self.by_ann.say("And the other one?"), thread=question)
        await mos.ear.hears("And the other one?")
        await ann.human.edit(question, self.by_ann.say("Is release 1.4 ready?"))
        await mos.ear.hears("Is release 1.4 ready?")

    async def crash(self, ann: Ann, mos: Orchestrator) -> None:
        """Both talk on while the daemon is killed with -9 and started again."""
        self.screen.note(f"Now {BURST} messages each way, and the daemon is killed among them.")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ann_goes_on(ann))
            group.create_task(self._mos_goes_on(mos))
            group.create_task(self._kill(ann, mos))
        await ann.ear.hears(self.by_mos.said[-1])
        await mos.ear.hears(self.by_ann.said[-1])

    async def _ann_goes_on(self, ann: Ann) -> None:
        for number in range(1, BURST + 1):
            await ann.human.say(self.by_ann.say(f"Ann's note {number}"))
            await asyncio.sleep(PACE_S)

    async def _mos_goes_on(self, mos: Orchestrator) -> None:
        for number in range(1, BURST + 1):
            in_vain = await mos.send(self.by_mos.say(f"Step {number} is done."))
            if in_vain:
                self.screen.note(f"`fleetchat send` found no daemon {in_vain} times, then it did.")
            await asyncio.sleep(PACE_S)

    async def _kill(self, ann: Ann, mos: Orchestrator) -> None:
        await ann.ear.hears("Step 4 is done.")
        await self.daemon.kill()
        self.screen.note("kill -9: fleetchatd is dead; Ann and the orchestrator go on.", "bad")
        await asyncio.sleep(1.0)  # not for luck: so long do they talk to nobody
        await self.daemon.start()
        self.screen.note("fleetchatd is running again.", "good")

    def conclude(self, ann: Ann, mos: Orchestrator) -> bool:
        """Say whether everything arrived, once and in order."""
        sides = (
            ("Ann to the orchestrator", self.by_ann, mos.ear),
            ("The orchestrator to Ann", self.by_mos, ann.ear),
        )
        problems = 0
        for sentence, record, ear in sides:
            wrong = record.verdict(ear.heard)
            problems += wrong is not None
            count = f"{len(ear.heard)} of {len(record.said)} arrived"
            result = wrong or "none lost, none doubled, in order"
            self.screen.note(f"{sentence}: {count}, {result}.", "bad" if wrong else "good")
        if mos.repeats:
            self.screen.note(f"(Sent again after the crash, told apart by seq: {mos.repeats}.)")
        return not problems
