"""Durable subscribers: where they begin, what they acknowledge, what they miss (contract §3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.daemon import Daemon
from tests.harness.echo import hear, pending
from tests.harness.waiting import eventually


@pytest.fixture
def daemon(echoing: Daemon) -> Daemon:
    return echoing


async def test_a_new_subscriber_begins_at_the_end_or_from_the_start(daemon: Daemon) -> None:
    await hear(daemon, "before")
    assert await pending(daemon, subscriber="late") == []
    assert await pending(daemon, subscriber="early", from_="start") == ["before"]
    await hear(daemon, "after")
    assert await pending(daemon, subscriber="late") == ["after"]
    assert await pending(daemon, subscriber="early") == ["before", "after"]
    assert await pending(daemon, subscriber="late", from_="start") == ["after"]  # not new any more


async def test_what_is_not_acknowledged_comes_again_after_any_crash(daemon: Daemon) -> None:
    assert await pending(daemon, subscriber="a") == []
    await hear(daemon, "one", "two", "three")
    events = await daemon.api.pending(subscriber="a", types="message")
    await daemon.api.ack("a", events[0]["seq"])
    await daemon.kill()
    await daemon.start()
    again = await daemon.api.pending(subscriber="a", types="message")
    assert again == events[1:]


async def test_acknowledging_is_cumulative_idempotent_and_never_goes_back(daemon: Daemon) -> None:
    await pending(daemon, subscriber="a")
    await hear(daemon, "one", "two", "three")
    first, second, third = await daemon.api.pending(subscriber="a", types="message")
    for seq, acked in (
        (second["seq"], second["seq"]),
        (second["seq"], second["seq"]),
        (first["seq"], second["seq"]),
        (0, second["seq"]),
    ):
        answer = await daemon.api.demand("POST", "/v1/subscribers/a/ack", {"seq": seq})
        assert answer == {"name": "a", "acked_seq": acked}
    assert await pending(daemon, subscriber="a") == ["three"]
    (listed,) = await daemon.api.subscribers()
    assert listed["acked_seq"] == second["seq"]
    await daemon.api.ack("a", third["seq"])
    assert await pending(daemon, subscriber="a") == []


async def test_acknowledging_what_does_not_exist_is_refused(daemon: Daemon) -> None:
    await pending(daemon, subscriber="a")
    last = (await daemon.api.health())["journal"]["last_seq"]
    for name, body, status, kind in (
        ("a", {"seq": last + 1}, 422, "unknown-seq"),
        ("a", {"seq": 2**70}, 422, "unknown-seq"),
        ("nobody", {"seq": 0}, 404, "unknown-subscriber"),
        ("nobody", {"seq": last + 1}, 404, "unknown-subscriber"),
        ("a b", {"seq": 0}, 400, "bad-name"),
        ("a", {"seq": -1}, 422, "bad-field"),
        ("a", {"seq": 1e300}, 422, "unknown-seq"),
        ("a", {"seq": 0.5}, 422, "bad-field"),
        ("a", {"seq": True}, 422, "bad-field"),
        ("a", {"seq": "1"}, 422, "bad-field"),
        ("a", {"seq": None}, 422, "bad-field"),
        ("a", {}, 422, "bad-field"),
        ("a", [], 422, "bad-field"),
        ("a", {"seq": 0, "more": 1}, 422, "bad-field"),
    ):
        reply = await daemon.api.request("POST", f"/v1/subscribers/{name}/ack", body)
        assert (reply.status, reply.body["kind"]) == (status, kind), (name, body)
    reply = await daemon.api.request("POST", "/v1/subscribers/a/ack", data=b"seq=1")
    assert (reply.status, reply.body["kind"]) == (400, "not-json")


async def test_names_are_1_to_64_of_the_allowed_characters(daemon: Daemon) -> None:
    names = ["a", "A_z-0.9", "x" * 64, "..", "-"]
    for name in names:
        assert await pending(daemon, subscriber=name) == []
    assert [one["name"] for one in await daemon.api.subscribers()] == sorted(names)


async def test_lag_counts_only_what_matches_the_filter(daemon: Daemon) -> None:
    filters = {"all": {}, "said": {"types": "message"}, "reacted": {"types": "reaction"}}
    for name, query in filters.items():
        await daemon.api.pending(subscriber=name, **query)
    before = (await daemon.api.health())["journal"]["last_seq"]
    await hear(daemon, "one", "two")

    async def settled() -> dict[str, Any] | None:
        listed = {one["name"]: one for one in await daemon.api.subscribers()}
        last = (await daemon.api.health())["journal"]["last_seq"]
        return listed if last == before + 4 else None  # two messages and two deliveries

    listed = await eventually("both deliveries", settled)
    assert {name: one["lag"] for name, one in listed.items()} == {
        "all": 4,
        "said": 2,
        "reacted": 0,
    }
    assert listed["reacted"]["oldest_unacked_age_s"] is None
    assert 0 <= listed["said"]["oldest_unacked_age_s"] < 60
    assert not any(one["connected"] for one in listed.values())


async def test_class_filters_messages_and_leaves_other_types_alone(daemon: Daemon) -> None:
    await hear(daemon, "from a human")
    await daemon.api.pending(types="delivery", after=0, wait_s=5)

    async def types(**query: object) -> set[str]:
        return {event["type"] for event in await daemon.api.pending(after=0, **query)}

    assert await types(class_="human,actionable") == {"connector", "message", "delivery"}
    assert await types(class_="actionable") == {"connector", "delivery"}
    assert await types(class_="actionable", types="message") == set()
    assert await types(class_="human", types="message,reaction") == {"message"}
    assert await types(types="connector,gap") == {"connector"}
