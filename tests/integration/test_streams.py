"""Subscribing, as contract §3 has it, on the running daemon."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.api import ApiError
from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.waiting import eventually

SUPERSEDED = {"type": "superseded"}


@pytest_asyncio.fixture
async def daemon(make_daemon: MakeDaemon) -> AsyncIterator[Daemon]:
    """A daemon in whose chat every message is answered by repeating it."""
    made = make_daemon(echo=True)
    await made.start()
    yield made
    assert "Traceback" not in made.log_text


async def hear(daemon: Daemon, *texts: str) -> None:
    """Have these said in the chat, one after the other; they are in the journal on return."""
    async with daemon.api.events(types="message") as stream:
        for text in texts:
            await daemon.api.send(text)
            assert (await stream.next())["text"] == text


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events]


async def pending(daemon: Daemon, **query: object) -> list[str]:
    return texts(await daemon.api.pending(types="message", **query))


# -- the stream itself ---------------------------------------------------------------------------


async def test_the_header_comes_at_once_though_nothing_happens(daemon: Daemon) -> None:
    for query in ({}, {"subscriber": "a"}, {"follow": False, "wait_s": 60}):
        async with asyncio.timeout(5), daemon.api.events(**query) as stream:
            assert stream.headers["Content-Type"] == "application/x-ndjson"


async def test_an_event_has_the_fields_of_its_type(daemon: Daemon) -> None:
    await hear(daemon, "hi")
    events = await daemon.api.pending(after=0)
    fields = {event["type"]: set(event) - {"seq", "type", "time", "connector"} for event in events}
    message = "id sender sender_name text thread_id reply_to class attachments"
    assert fields["message"] == set(message.split())
    assert fields["delivery"] == {"id", "state", "remote_id", "error"}
    assert fields["connector"] == {"status", "reachable", "authenticated", "receiving", "detail"}
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    assert seqs[0] > 0


async def test_an_anonymous_reader_begins_now_or_after_a_seq(daemon: Daemon) -> None:
    await hear(daemon, "a", "b")
    everything = await daemon.api.pending(after=0)
    assert await daemon.api.pending() == []
    for event in everything:
        rest = await daemon.api.pending(after=event["seq"])
        assert rest == [later for later in everything if later["seq"] > event["seq"]]
    for beyond in (everything[-1]["seq"] + 1, 2**63, 10**30):
        with pytest.raises(ApiError) as refused:
            await daemon.api.pending(after=beyond)
        assert (refused.value.status, refused.value.kind) == (422, "unknown-seq")
    assert await daemon.api.subscribers() == []


async def test_bad_queries_are_400(daemon: Daemon) -> None:
    for query in (
        *(f"after={value}" for value in ("", "-1", "1.0", "x", "0x1")),
        *(f"follow={value}" for value in ("", "1", "yes", "True")),
        *(f"types={value}" for value in ("", "messages", "message,", "message,,edit", "Message")),
        *(f"class={value}" for value in ("", "people", "message")),
        *(f"from={value}" for value in ("", "end", "0")),
        *(f"wait_s={value}" for value in ("61", "-1", "x")),
        *("takeover=maybe", "unknown=1", "follow=false&follow=false"),
        "from=start",
        "subscriber=a&after=0",
    ):
        reply = await daemon.api.request("GET", f"/v1/events?follow=false&{query}")
        assert (reply.status, reply.body["kind"]) == (400, "bad-query"), query
    for name in ("", "a b", "ä", "x" * 65, "a%2Fb", "a%0A"):
        reply = await daemon.api.request("GET", f"/v1/events?follow=false&subscriber={name}")
        assert (reply.status, reply.body["kind"]) == (400, "bad-name"), name
    assert await daemon.api.subscribers() == []


async def test_what_is_pending_ends_and_wait_s_waits_for_the_first(daemon: Daemon) -> None:
    async with asyncio.timeout(5):
        assert await daemon.api.pending(types="message") == []
    begun = time.monotonic()
    assert await daemon.api.pending(types="message", wait_s=0.5) == []
    assert time.monotonic() - begun >= 0.5
    async with (
        asyncio.timeout(20),
        daemon.api.events(types="message", follow=False, wait_s=60) as stream,
    ):
        await daemon.api.send("at last")
        assert (await stream.next())["text"] == "at last"
        assert await stream.next_or_end() is None


async def test_waiting_is_for_what_matches(daemon: Daemon) -> None:
    async with daemon.api.events(types="reaction", follow=False, wait_s=1) as stream:
        await hear(daemon, "no reaction")
        assert await stream.next_or_end() is None


# -- durable subscribers -------------------------------------------------------------------------


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


# -- one live stream a name ----------------------------------------------------------------------


async def test_a_second_stream_of_a_name_is_refused_while_the_first_lives(daemon: Daemon) -> None:
    async with daemon.api.events(subscriber="a") as first:
        for query in ({}, {"follow": False}, {"from_": "start"}):
            with pytest.raises(ApiError) as refused:
                async with daemon.api.events(subscriber="a", **query):
                    pass
            assert (refused.value.status, refused.value.kind) == (409, "subscriber-busy")
        (listed,) = (await daemon.api.health())["subscribers"]
        assert listed == {"name": "a", "connected": True, "lag": listed["lag"]}
        await daemon.api.send("still read")
        await first.until(lambda event: event.get("text") == "still read")


async def test_a_takeover_ends_the_first_with_a_last_line_and_loses_nothing(
    daemon: Daemon,
) -> None:
    async with daemon.api.events(subscriber="a", types="message") as first:
        await daemon.api.send("one")
        assert (await first.next())["text"] == "one"
        async with daemon.api.events(subscriber="a", types="message", takeover=True) as second:
            assert await first.next() == SUPERSEDED
            assert await first.next_or_end() is None
            assert (await second.next())["text"] == "one"
            await daemon.api.send("two")
            assert (await second.next())["text"] == "two"
        async with daemon.api.events(subscriber="b", takeover=True):
            pass  # nobody to take over from


async def test_of_many_takeovers_at_once_exactly_one_lives(daemon: Daemon) -> None:
    async def take_over() -> list[dict[str, Any]]:
        async with daemon.api.events(subscriber="a", types="message", takeover=True) as stream:
            return [event async for event in stream]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(take_over()) for _ in range(10)]

        async def nine_ended() -> bool:
            return sum(task.done() for task in tasks) == 9

        await eventually("nine ended", nine_ended)
        assert [one["connected"] for one in await daemon.api.subscribers()] == [True]
        await daemon.api.demand("DELETE", "/v1/subscribers/a")
    heard = sorted((task.result() for task in tasks), key=len)
    assert heard == [[], *([SUPERSEDED] for _ in range(9))]


@contextmanager
def reader_process(daemon: Daemon, name: str) -> Iterator[int]:
    """A client of another process, whose stream is open."""
    script = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(b'GET /v1/events?subscriber=%b HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'"
        " % sys.argv[2].encode())\n"
        "while s.recv(9999): print('read', flush=True)\n"
    )
    reading, writing = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", script, str(daemon.socket), name],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)],
    )
    os.close(writing)
    try:
        os.read(reading, 9)
        yield pid
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def test_a_name_is_free_within_a_second_of_its_clients_death(daemon: Daemon) -> None:
    with reader_process(daemon, "a"):
        assert (await daemon.api.subscribers())[0]["connected"]
    begun = time.monotonic()

    async def free() -> bool:
        return not (await daemon.api.subscribers())[0]["connected"]

    await eventually("the name is free", free, pause_s=0.01)
    assert time.monotonic() - begun < 1.0
    async with daemon.api.events(subscriber="a"):
        pass


async def test_a_stopped_client_that_does_not_read_can_be_taken_over(daemon: Daemon) -> None:
    with reader_process(daemon, "a") as pid:
        os.kill(pid, signal.SIGSTOP)
        for _ in range(20):
            await daemon.api.send("x" * 100_000)
        async with daemon.api.events(subscriber="a", types="message", takeover=True) as stream:
            assert len(texts(await stream.take(20))) == 20


async def test_deleting_a_connected_name_ends_its_stream_and_forgets_its_position(
    daemon: Daemon,
) -> None:
    async with daemon.api.events(subscriber="a", types="message") as stream:
        assert (await daemon.api.request("DELETE", "/v1/subscribers/a")).status == 204
        assert await stream.next_or_end(5) is None
    assert await daemon.api.subscribers() == []
    gone = await daemon.api.request("DELETE", "/v1/subscribers/a")
    assert (gone.status, gone.body["kind"]) == (404, "unknown-subscriber")
    await hear(daemon, "while it was forgotten")
    assert await pending(daemon, subscriber="a") == []


# -- readers that do not read --------------------------------------------------------------------


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def flood(daemon: Daemon, count: int, size: int) -> None:
    """So many large messages, each echoed, and all of them delivered on return."""
    async with daemon.api.events(types="message") as stream:
        slots = asyncio.Semaphore(8)

        async def send() -> None:
            async with slots:
                await daemon.api.send("x" * size)

        await asyncio.gather(*(send() for _ in range(count)))
        await stream.take(count)


@pytest.mark.parametrize(("count", "size"), [(600, 10_000), (12, 500_000)])
async def test_a_thousand_readers_that_never_read_cost_no_memory_and_hold_up_nobody(
    daemon: Daemon, count: int, size: int
) -> None:
    await flood(daemon, count, size)  # what the daemon needs for itself
    idle = resident_kib(daemon.pid)
    with ExitStack() as readers:
        for number in range(1000):
            reader = readers.enter_context(socket.socket(socket.AF_UNIX))
            reader.connect(str(daemon.socket))
            begin = b"after=0" if number % 2 else b"subscriber=s%d&from=start" % number
            reader.send(b"GET /v1/events?%b HTTP/1.1\r\nHost: x\r\n\r\n" % begin)

        async def connected() -> bool:
            listed = await daemon.api.subscribers()
            return [one["connected"] for one in listed].count(True) == 500

        await eventually("all readers", connected)
        begun = time.monotonic()
        await flood(daemon, count, size)
        await daemon.api.send("in between", wait_s=10)
        assert time.monotonic() - begun < 30
        # The memory connector keeps what it sent.
        own = 2 * count * size // 1024 + 4096
        assert resident_kib(daemon.pid) - idle < own + 30 * 1024
        begun = time.monotonic()
        assert await daemon.terminate() == 0
        assert time.monotonic() - begun < 15
    await daemon.start()
    assert len(await daemon.api.subscribers()) == 500


async def test_a_reader_that_comes_back_to_reading_gets_everything_whole_and_in_order(
    daemon: Daemon,
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(daemon.socket), limit=1024)
    writer.write(b"GET /v1/events?after=0&types=message HTTP/1.0\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    sizes = [10, 900_000, 100, 20_000, 30_000, 1, 16_384, 700_000, 5] * 2
    for number, size in enumerate(sizes):
        await daemon.api.send(f"{number}:" + "y" * size, wait_s=10)
    received = b""
    async with asyncio.timeout(30):
        while received.count(b"\n") < len(sizes):
            received += await reader.read(1 << 16)
    writer.close()
    lines = received.splitlines()
    assert [len(line) > size for line, size in zip(lines, sizes, strict=True)] == [True] * len(
        sizes
    )
    assert texts([json.loads(line) for line in lines]) == [
        f"{number}:" + "y" * size for number, size in enumerate(sizes)
    ]
