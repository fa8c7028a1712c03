"""The history, page by page (contract §3)."""

from __future__ import annotations

from typing import Any

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

FIELDS = {
    "id",
    "direction",
    "time",
    "sender",
    "text",
    "thread_id",
    "reply_to",
    "state",
    "remote_id",
    "error",
}


async def test_history_is_newest_first_in_pages_that_neither_skip_nor_repeat(
    echoing: Daemon,
) -> None:
    for number in range(7):
        await echoing.api.send(str(number), wait_s=10)

    async def whole() -> list[dict[str, Any]] | None:
        found = await echoing.api.history()
        return found if len(found) == 14 else None

    everything = await eventually("all echoes", whole)
    assert all(item.keys() >= FIELDS for item in everything)
    for limit in (1, 2, 3, 5, 14):
        paged: list[dict[str, Any]] = []
        while page := await echoing.api.history(
            limit=limit, before=paged[-1]["id"] if paged else None
        ):
            assert len(page) <= limit
            paged += page
        assert paged == everything
    out = await echoing.api.history(direction="out")
    assert [item["text"] for item in out] == list("6543210")
    incoming = await echoing.api.history(direction="in", limit=3)
    assert [item["text"] for item in incoming] == list("654")
    assert {(item["direction"], item["state"], item["sender"]) for item in incoming} == {
        ("in", None, "human")
    }


async def test_history_of_a_thread_is_of_that_thread_alone(echoing: Daemon) -> None:
    for thread in ("t", "u", None):
        await echoing.api.send(f"in {thread}", thread_id=thread, wait_s=10)

    async def both() -> bool:
        found = await echoing.api.history(thread_id="t")
        return [item["direction"] for item in found] == ["in", "out"]

    await eventually("the echo in t", both)
    assert {item["text"] for item in await echoing.api.history(thread_id="t")} == {"in t"}
    assert await echoing.api.history(thread_id="none") == []
