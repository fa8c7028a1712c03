"""What was said in both directions, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import orjson

from fleetchatd.journal.sqlite.rows import (
    MESSAGE_COLUMNS,
    MESSAGE_KINDS,
    hash_id,
    history_item,
    message_of,
)
from fleetchatd.journal.sqlite.store import Store


class History(Store):
    """The journal's part that looks back (journal/base.py)."""

    def history(
        self,
        *,
        limit: int,
        before: str | None,
        thread_id: str | None,
        direction: Literal["in", "out"] | None,
    ) -> Sequence[dict[str, object]] | None:
        """See `Journal.history`.

        Both directions are ordered by what the journal knew: an event by its `seq`, a message by
        the newest `seq` when it was accepted, then by its own order.
        """
        seq, order = self.seq + 1, self.order + 1
        if before is not None:
            place = self._place(before)
            if place is None:
                return None
            seq, order = place
        found: list[tuple[tuple[int, int], dict[str, object]]] = []
        if direction != "in":
            found += self._history_out(order, thread_id, limit)
        if direction != "out":
            found += self._history_in(seq, thread_id, limit)
        found.sort(key=lambda item: item[0], reverse=True)
        return [item for _, item in found[:limit]]

    def _place(self, item_id: str) -> tuple[int, int] | None:
        """The `seq` and order that everything older is below."""
        rows = self.rows("SELECT after_seq, ord FROM messages WHERE id = ?", (item_id,))
        if rows:
            return rows[0][0] + 1, rows[0][1]
        for (name,) in self.rows("SELECT name FROM targets"):
            for seq, body in self.rows(
                "SELECT seq, body FROM events WHERE source = ?", (hash_id(name, item_id),)
            ):
                if orjson.loads(body)["id"] == item_id:
                    return seq, self._first_order_from(seq)
        return None

    def _first_order_from(self, seq: int) -> int:
        """The order of the first message accepted after event `seq`, by bisection."""
        low, high = 0, self.order + 1
        while low < high:
            middle = (low + high) // 2
            rows = self.rows(
                "SELECT ord, after_seq FROM messages WHERE ord >= ? ORDER BY ord LIMIT 1", (middle,)
            )
            if not rows or rows[0][1] >= seq:
                high = middle
            else:
                low = rows[0][0] + 1
        return low

    def _history_out(
        self, order: int, thread_id: str | None, limit: int
    ) -> list[tuple[tuple[int, int], dict[str, object]]]:
        where = "ord < ?" if thread_id is None else "ord < ? AND thread_id = ?"
        values = (order, limit) if thread_id is None else (order, thread_id, limit)
        rows = self.rows(
            f"SELECT after_seq, {MESSAGE_COLUMNS} FROM messages WHERE {where} "
            "ORDER BY ord DESC LIMIT ?",
            values,
        )
        return [((row[0], row[1]), message_of(row[1:]).to_json()) for row in rows]

    def _history_in(
        self, seq: int, thread_id: str | None, limit: int
    ) -> list[tuple[tuple[int, int], dict[str, object]]]:
        if thread_id is None:
            branch = (
                "SELECT * FROM (SELECT seq, body FROM events WHERE kind = {} AND seq < :seq "
                "ORDER BY seq DESC LIMIT :limit)"
            )
            query = " UNION ALL ".join(branch.format(kind) for kind in MESSAGE_KINDS.values())
            query += " ORDER BY seq DESC LIMIT :limit"
        else:
            query = (
                "SELECT seq, body FROM events WHERE thread = :thread AND seq < :seq "
                "ORDER BY seq DESC LIMIT :limit"
            )
        thread = None if thread_id is None else hash_id("", thread_id)
        rows = self.rows(query, {"seq": seq, "limit": limit, "thread": thread})
        found = [((number, -1), history_item(body)) for number, body in rows]
        if thread_id is None:
            return found
        return [item for item in found if item[1]["thread_id"] == thread_id]
