"""What is said in the pane, brought to the journal: by the spool, or read off a screen."""

from __future__ import annotations

import asyncio
import time
import uuid

import structlog

from fleetchatd.connectors.base import Inbox
from fleetchatd.connectors.pauses import Pauses
from fleetchatd.connectors.tmux import reader
from fleetchatd.connectors.tmux.desk import Desk
from fleetchatd.connectors.tmux.watch import Watch
from fleetchatd.model import Batch, MessageEvent, rfc3339
from fleetchatd.tmux.address import clean
from fleetchatd.tmux.marks import Mark
from fleetchatd.tmux.spool import Names, NoSubmissionError, Spool, Submission

KIND = "tmux"

KEEP_PLACE_S = 30.0
"""How often the place on another program's screen is journalled while nothing is said there."""

AT_ONCE = 100
"""How many submissions are journalled in one commit."""

log = structlog.get_logger("fleetchatd.connector")


class Intake:
    """Both ways in: the console's spool, and the screen of another program.

    Attributes:
        position: how far another program's screen was read (reader.py).
    """

    def __init__(
        self, session: str, names: Names, spool: Spool, desk: Desk, pauses: Pauses
    ) -> None:
        self.position: str | None = None
        self._kept_at = 0.0
        self._session = session
        self._names = names
        self._spool = spool
        self._desk = desk
        self._pauses = pauses

    async def take_submissions(self, inbox: Inbox) -> None:
        """Journal what the operator left in the spool, and only then remove it."""
        while ids := self._spool.pending()[:AT_ONCE]:
            taken = [found for one in ids if (found := self._submission(one)) is not None]
            await inbox.commit(Batch([self._said(one) for one in taken]))
            self._pauses.succeeded()
            for one in taken:
                self._spool.take(one.id)
                self._desk.tell(Mark("kept", one.id))

    def _submission(self, submission_id: str) -> Submission | None:
        try:
            found = self._spool.submission(submission_id)
        except NoSubmissionError as error:
            self._put_aside(submission_id, str(error))
            return None
        if found is not None and not clean(found.text).strip():
            self._put_aside(submission_id, "there are no words in it")
            return None
        return found

    def _put_aside(self, submission_id: str, reason: str) -> None:
        place = self._spool.put_aside(submission_id)
        log.warning("left something aside", reason=reason, moved_to=str(place))

    def _said(self, submission: Submission) -> MessageEvent:
        return MessageEvent(
            id=submission.id,
            time=rfc3339(submission.time),
            connector=KIND,
            sender=self._names.operator,
            sender_name=self._session,
            text=clean(submission.text),
            thread_id=submission.thread_id,
            event_class="human",
        )

    async def read_screen(self, watch: Watch, inbox: Inbox) -> None:
        """Journal what a program other than the console says to the orchestrator."""
        pane_id = watch.pane.id
        look = reader.parse_look(pane_id, await watch.client.run(reader.look_command(pane_id)))
        if look is None:
            return
        reading = reader.read(self.position, look, self._names.orchestrator)
        if reading.again:
            watch.wake()
        now = asyncio.get_running_loop().time()
        if reading.lines or self.position is None or now - self._kept_at > KEEP_PLACE_S:
            self._kept_at = now
            events = [self._read_off(line) for line in reading.lines if line.text.strip()]
            await inbox.commit(Batch(events, position=reading.position))
        self.position = reading.position

    def _read_off(self, line: reader.Line) -> MessageEvent:
        if line.id is None:
            event_id = f"{line.source}~{uuid.uuid4().hex}"
        elif line.source == self._names.operator:
            event_id = line.id  # what the console has shown as sent was in the spool before
        else:
            event_id = f"{line.source}~{line.id}"
        return MessageEvent(
            id=event_id,
            time=rfc3339(time.time()),
            connector=KIND,
            sender=line.source,
            sender_name=line.source.rpartition(":")[2] or line.source,
            text=line.text,
            thread_id=line.tag,
            event_class=line.event_class,
        )
