"""Events on their way in: each once, in one commit with the position they were received at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson

from fleetchatd.journal.base import REDACTED_TEXT
from fleetchatd.journal.sqlite.rows import (
    MESSAGE_COLUMNS,
    MESSAGE_KINDS,
    event_row,
    hash_id,
    message_of,
)
from fleetchatd.journal.sqlite.store import Store
from fleetchatd.model import Batch, EditEvent, Message, RedactionEvent

_LOOKUP = 500  # hashes a query: SQLite takes 999 and more


class Inbound(Store):
    """The journal's inbound part (journal/base.py)."""

    def commit(self, target: str, batch: Batch) -> asyncio.Future[None]:
        """See `Journal.commit`."""
        received = self.clock()
        rows = [event_row(event, target, received) for event in batch.events]

        def statements() -> None:
            place = self.target_id(target)  # noted also without a position: ids are its own
            self._add(target, batch, rows)
            if batch.position is not None:
                self.writer.execute(
                    "UPDATE targets SET position = ? WHERE id = ?", (batch.position, place)
                )

        return self.commits.write(statements)

    def _add(self, target: str, batch: Batch, rows: list[tuple[Any, ...]]) -> None:
        known = self._known([row[2] for row in rows if row[2] is not None])
        fresh: list[tuple[Any, ...]] = []
        for event, row in zip(batch.events, rows, strict=True):
            if row[2] is not None:
                ids = known.setdefault(row[2], set())
                if event.id in ids:
                    continue
                ids.add(event.id)
            if isinstance(event, RedactionEvent | EditEvent):
                self.append(fresh)  # its target may be among them
                fresh = []
            if isinstance(event, RedactionEvent):
                told = self._redact(target, event) or event.welcome
                fresh += [row] if told else []
            elif isinstance(event, EditEvent):
                fresh += self._edit(target, event, row)
            else:
                fresh.append(row)
        if fresh:
            self.append(fresh)

    def _known(self, sources: list[int]) -> dict[int, set[Any]]:
        """Which ids stand under these hashes already."""
        known: dict[int, set[Any]] = {}
        for start in range(0, len(sources), _LOOKUP):
            some = sources[start : start + _LOOKUP]
            marks = ",".join("?" * len(some))
            for source, body in self.writer.execute(
                f"SELECT source, body FROM events WHERE source IN ({marks})", some
            ):
                known.setdefault(source, set()).add(orjson.loads(body).get("id"))
        return known

    def _edit(
        self, target: str, event: EditEvent, row: tuple[Any, ...]
    ) -> Sequence[tuple[Any, ...]]:
        """The row of an edit, in the thread of what it edits; none if that is not its sender's.

        Nobody says anew what another said (Matrix: "Validity of replacement events"), but servers
        pass such edits on, and do not tell the thread.
        """
        place = hash_id(target, event.target)
        for (body,) in self.writer.execute("SELECT body FROM events WHERE source = ?", (place,)):
            original = orjson.loads(body)
            if original["id"] != event.target:
                continue
            if original.get("sender") != event.sender:
                return ()
            thread_id = event.thread_id or original.get("thread_id")
            return (event_row(replace(event, thread_id=thread_id), target, row[1]),)
        return () if any(self._own(place, event.target)) else (row,)

    def _own(self, place: int, remote_id: str) -> Iterator[Message]:
        """Our own message that has this id in the chat."""
        for row in self.writer.execute(
            f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE ord IN "
            "(SELECT ord FROM remotes WHERE hash = ?)",
            (place,),
        ).fetchall():
            message = message_of(row)
            if remote_id in message.remote_ids:
                yield message

    def _redact(self, target: str, event: RedactionEvent) -> bool:
        """Take the target's text, its edits' and, if it is our own message, that one's.

        Returns:
            Whether the target is here.
        """
        found = False
        place = hash_id(target, event.target)
        for seq, body in self.writer.execute(
            "SELECT seq, body FROM events WHERE source = :place OR about = :place",
            {"place": place},
        ).fetchall():
            record = orjson.loads(body)
            if event.target not in (record.get("id"), record.get("target")):
                continue
            found = True
            if record["type"] in ("edit", "message"):
                record["text"] = REDACTED_TEXT
                if "attachments" in record:
                    record["attachments"] = []
                self.overwrite(seq, orjson.dumps(record))
        return self._redact_own(place, event) or found

    def _redact_own(self, place: int, event: RedactionEvent) -> bool:
        found = False
        for message in self._own(place, event.target):
            found = True
            parts = list(message.parts)
            parts[message.remote_ids.index(event.target)] = REDACTED_TEXT
            self.writer.execute(
                "UPDATE messages SET text = ?, parts = ? WHERE ord = ?",
                (
                    "".join(parts),
                    orjson.dumps(parts) if len(parts) > 1 else None,
                    message.order,
                ),
            )
            self.commits.scrub()
        return found

    def position(self, target: str) -> str | None:
        """See `Journal.position`."""
        rows = self.rows("SELECT position FROM targets WHERE name = ?", (target,))
        return rows[0][0] if rows else None

    def last_event_id(self, upto_seq: int, target: str) -> str | None:
        """See `Journal.last_event_id`."""
        kinds = ",".join(str(kind) for kind in MESSAGE_KINDS.values())
        rows = self.rows(
            f"SELECT body FROM events WHERE seq <= ? AND seq > ? AND kind IN ({kinds}) "
            "ORDER BY seq DESC LIMIT 20",
            (upto_seq, upto_seq - 1000),
        )
        for (body,) in rows:
            event_id = orjson.loads(body)["id"]
            if self.rows("SELECT 1 FROM events WHERE source = ?", (hash_id(target, event_id),)):
                return str(event_id)
        return None
