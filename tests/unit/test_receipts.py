"""What counts as read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fleetchatd.journal.base import Subscriber
from fleetchatd.receipts import Receipts


@pytest.mark.parametrize(
    ("subscribers", "acknowledged", "read"),
    [
        (["mos", "other"], [("mos", 7)], 7),
        (["mos", "other"], [("other", 7)], 0),
        (["mos", "other"], [("mos", 3), ("other", 7)], 3),
        (["some", "other"], [("some", 3), ("other", 7)], 7),
        (["some"], [("some", 7), ("some", 7)], 7),
        (["mos"], [("mos", 7), ("mos", 5)], 7),
    ],
)
def test_read_is_what_the_orchestrators_subscriber_acknowledged_or_else_any(
    subscribers: list[str], acknowledged: list[tuple[str, int]], read: int
) -> None:
    listed = [Subscriber(name, 0, 0, None) for name in subscribers]
    journal: Any = SimpleNamespace(subscribers=lambda: listed)
    link: Any = None
    receipts = Receipts(journal, lambda: "mos", lambda: link)
    for name, seq in acknowledged:
        receipts.acknowledged(name, seq)
    assert receipts._seq == read
    assert receipts._news.is_set() == bool(read)
