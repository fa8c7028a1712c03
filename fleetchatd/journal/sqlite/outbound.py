"""Messages on their way out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from fleetchatd.journal.base import Acceptance, Done, OutboxCounts
from fleetchatd.journal.sqlite.rows import (
    MESSAGE_COLUMNS,
    NUMBER_OF_STATE,
    digest_of,
    hash_id,
    message_of,
)
from fleetchatd.journal.sqlite.store import Store
from fleetchatd.model import DeliveryEvent, Draft, Message, State, rfc3339

_QUEUED = NUMBER_OF_STATE[State.QUEUED]
_SENDING = NUMBER_OF_STATE[State.SENDING]
_FAILED = NUMBER_OF_STATE[State.FAILED]

# What a target may send: its own, and what nothing ties to another (Message.portable).
_SENDABLE = """state < 2 AND (
    target = (SELECT id FROM targets WHERE name = :target)
    OR (attempt IS NULL AND remote_ids IS NULL AND thread_id IS NULL AND reply_to IS NULL))"""


def new_id(now: float) -> str:
    """A globally unique id. The time in front only keeps the index growing at its end."""
    return f"{int(now * 1000) & 0xFFFFFFFFFFF:011x}{os.urandom(10).hex()}"


def _parts_json(text: str, parts: Sequence[str]) -> bytes | None:
    return None if tuple(parts) == (text,) else orjson.dumps(parts)


class Outbound(Store):
    """The journal's outbound part (journal/base.py)."""

    def accept(
        self,
        draft: Draft,
        *,
        key: str | None,
        target: str,
        parts: Sequence[str],
        mark: str | None,
        done: Done[Acceptance],
    ) -> None:
        """See `Journal.accept`."""

        def statements() -> Acceptance:
            if key is not None and (known := self._by_key(key, draft)):
                return known
            message = self._insert(draft, key, target, parts, mark)
            return Acceptance(message, created=True)

        self.commits.post(statements, done)

    def _by_key(self, key: str, draft: Draft) -> Acceptance | None:
        row = self.writer.execute(
            f"SELECT digest, {MESSAGE_COLUMNS} FROM messages WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        return Acceptance(message_of(row[1:]), created=False, matches=row[0] == digest_of(draft))

    def _insert(
        self, draft: Draft, key: str | None, target: str, parts: Sequence[str], mark: str | None
    ) -> Message:
        now = self.clock()
        self.order += 1
        message = Message(
            id=new_id(now),
            order=self.order,
            time=rfc3339(now),
            draft=draft,
            target=target,
            parts=tuple(parts),
            state=State.QUEUED if mark is None else State.SENDING,
            attempt=mark,
            attempts=0 if mark is None else 1,
            expires_at=None if draft.expires_s is None else now + draft.expires_s,
        )
        self.writer.execute(
            "INSERT INTO messages (ord, id, accepted, after_seq, target, thread_id, reply_to, "
            "plain, notice, expires_s, expires_at, key, digest, state, attempts, attempt, text, "
            "parts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                message.order,
                message.id,
                now,
                self.seq,
                self.target_id(target),
                draft.thread_id,
                draft.reply_to,
                draft.format == "plain",
                draft.notice,
                draft.expires_s,
                message.expires_at,
                key,
                None if key is None else digest_of(draft),
                NUMBER_OF_STATE[message.state],
                message.attempts,
                mark,
                draft.text,
                _parts_json(draft.text, parts),
            ),
        )
        return message

    def begin_attempts(
        self, messages: Sequence[Message], mark: str
    ) -> asyncio.Future[Sequence[Message | None]]:
        """See `Journal.begin_attempts`."""

        def statements() -> Sequence[Message | None]:
            return [self._begin_attempt(message, mark) for message in messages]

        return self.commits.write(statements)

    def _begin_attempt(self, message: Message, mark: str) -> Message | None:
        # Another target may have cut it anew. The same one's parts stay: what was redacted in them
        # since the message was read must not come back.
        updated = self.writer.execute(
            "UPDATE messages SET state = :sending, attempt = coalesce(attempt, :mark), "
            "attempts = attempts + 1, target = :target, "
            "parts = CASE target WHEN :target THEN parts ELSE :parts END "
            "WHERE ord = :order AND state < 2 RETURNING attempt, attempts",
            {
                "sending": _SENDING,
                "mark": mark,
                "target": self.target_id(message.target),
                "parts": _parts_json(message.draft.text, message.parts),
                "order": message.order,
            },
        ).fetchone()
        if updated is None:
            return None
        return replace(message, state=State.SENDING, attempt=updated[0], attempts=updated[1])

    def requeue(self, message: Message, *, tried: bool) -> asyncio.Future[None]:
        """See `Journal.requeue`."""

        def statements() -> None:
            self.writer.execute(
                "UPDATE messages SET state = ?, attempt = NULL, attempts = attempts - ? "
                "WHERE ord = ? AND state < 2",
                (_QUEUED, not tried, message.order),
            )

        return self.commits.write(statements, lazy=True)

    def part_sent(self, message: Message) -> asyncio.Future[None]:
        """See `Journal.part_sent`."""

        def statements() -> None:
            self._note_remote_ids(message)
            self.writer.execute(
                "UPDATE messages SET attempt = NULL, remote_ids = ? WHERE ord = ?",
                (orjson.dumps(message.remote_ids), message.order),
            )

        return self.commits.write(statements)

    def settle(
        self,
        message: Message,
        state: State,
        error: str | None,
        connector: str,
        *,
        lazy: bool,
        done: Done[Message],
    ) -> None:
        """See `Journal.settle`."""

        def statements() -> Message | None:
            return self._settle(message, state, error, connector)

        self.commits.post(statements, done, lazy=lazy)

    def _settle(
        self, message: Message, state: State, error: str | None, connector: str
    ) -> Message | None:
        updated = self.writer.execute(
            "UPDATE messages SET state = ?, error = ?, remote_ids = ?, attempt = NULL "
            "WHERE ord = ? AND state < 2",
            (
                NUMBER_OF_STATE[state],
                error,
                orjson.dumps(message.remote_ids) if message.remote_ids else None,
                message.order,
            ),
        )
        if updated.rowcount == 0:  # it is final already, and that was told
            return None
        self._note_remote_ids(message)
        event = DeliveryEvent(
            time=rfc3339(self.clock()),
            connector=connector,
            id=message.id,
            state=state,
            remote_id=message.remote_id,
            error=error,
        )
        self.append_event(event, message.target)
        return replace(message, state=state, error=error, attempt=None)

    def _note_remote_ids(self, message: Message) -> None:
        self.writer.executemany(
            "INSERT OR IGNORE INTO remotes (hash, ord) VALUES (?, ?)",
            [(hash_id(message.target, remote), message.order) for remote in message.remote_ids],
        )

    def is_sent(self, target: str, remote_id: str) -> bool:
        """See `Journal.is_sent`."""
        found = self.rows(
            "SELECT remote_ids FROM messages WHERE ord IN (SELECT ord FROM remotes WHERE hash = ?)",
            (hash_id(target, remote_id),),
        )
        return any(remote_id in orjson.loads(ids) for (ids,) in found if ids)

    def cancel(self, message_id: str, connector: str) -> asyncio.Future[Message | None]:
        """See `Journal.cancel`."""

        def statements() -> Message | None:
            message = self._written(message_id)
            if message is None or message.state is not State.QUEUED:
                return None
            return self._settle(message, State.FAILED, "cancelled", connector)

        return self.commits.write(statements)

    def retry(self, message_id: str) -> asyncio.Future[Message | None]:
        """See `Journal.retry`."""

        def statements() -> Message | None:
            message = self._written(message_id)
            if message is None or message.state is not State.FAILED:
                return None
            self.writer.execute(
                "UPDATE messages SET state = ?, error = NULL, expires_s = NULL, expires_at = NULL "
                "WHERE ord = ?",
                (_QUEUED, message.order),
            )
            return self._written(message_id)

        return self.commits.write(statements)

    def _written(self, message_id: str) -> Message | None:
        """Within a write: the message as this group has left it."""
        row = self.writer.execute(
            f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE id = ?", (message_id,)
        ).fetchone()
        return None if row is None else message_of(row)

    # -- reading ------------------------------------------------------------------------------

    def _messages(self, where: str, values: Any) -> list[Message]:
        return [
            message_of(row)
            for row in self.rows(f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE {where}", values)
        ]

    def message(self, message_id: str) -> Message | None:
        """See `Journal.message`."""
        found = self._messages("id = ?", (message_id,))
        return found[0] if found else None

    def pending(
        self, target: str, thread_id: str | None, after_order: int, limit: int
    ) -> Sequence[Message]:
        """See `Journal.pending`."""
        return self._messages(
            f"{_SENDABLE} AND thread_id IS :thread AND ord > :after ORDER BY ord LIMIT :limit",
            {"target": target, "thread": thread_id, "after": after_order, "limit": limit},
        )

    def pending_threads(self, target: str) -> Sequence[str | None]:
        """See `Journal.pending_threads`."""
        query = f"SELECT DISTINCT thread_id FROM messages WHERE {_SENDABLE}"
        return [row[0] for row in self.rows(query, {"target": target})]

    def next_expiry(self) -> float | None:
        """See `Journal.next_expiry`."""
        query = "SELECT min(expires_at) FROM messages WHERE state < 2 AND expires_at IS NOT NULL"
        value = self.rows(query)[0][0]
        return None if value is None else float(value)

    def expired(self, now: float, limit: int) -> Sequence[Message]:
        """See `Journal.expired`."""
        return self._messages(
            "state < 2 AND expires_at IS NOT NULL AND expires_at <= ? LIMIT ?", (now, limit)
        )

    def outbox_counts(self, target: str) -> OutboxCounts:
        """See `Journal.outbox_counts`."""
        # All at once: between two looks, one of them may have been delivered.
        counted = f"count(*), count(*) FILTER (WHERE {_SENDABLE}), min(accepted)"
        query = f"SELECT {counted} FROM messages WHERE state < 2"
        total, mine, oldest = self.rows(query, {"target": target})[0]
        failed = self.rows("SELECT count(*) FROM messages WHERE state = 3")[0][0]
        age = None if oldest is None else max(0.0, self.clock() - oldest)
        return OutboxCounts(queued=mine, waiting=total - mine, failed=failed, oldest_age_s=age)
