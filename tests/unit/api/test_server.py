"""What the API makes of trouble behind it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from fleetchatd.errors import (
    ConfigError,
    ConnectorNotImplementedError,
    FleetchatError,
    JournalDamagedError,
    JournalError,
    RosterError,
    StorageFullError,
)
from fleetchatd.model import Filter, RedactionEvent
from tests.harness.raw_http import exchange
from tests.harness.waiting import eventually
from tests.unit.api.conftest import Running, said


@pytest.mark.parametrize("status", ["ok", "degraded", "down"])
async def test_health_is_503_when_it_is_down(running: Running, status: str) -> None:
    running.health = {"status": status}
    reply = await running.api.request("GET", "/v1/health")
    assert reply.status == (503 if status == "down" else 200)
    assert reply.body == {"status": status}
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (StorageFullError("cannot: full"), 507, "storage-full"),
        (JournalError("cannot: read-only"), 503, "journal-failed"),
        (JournalDamagedError("cannot: damaged"), 503, "journal-failed"),
        (ZeroDivisionError("a bug"), 500, "internal"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path", "broken"),
    [
        ("GET", "/v1/subscribers", "subscribers"),
        ("GET", "/v1/messages/x", "message"),
        ("GET", "/v1/messages", "history"),
        ("GET", "/v1/events?subscriber=a", "subscribe"),
        ("DELETE", "/v1/subscribers/a", "unsubscribe"),
        ("POST", "/v1/subscribers/a/ack", "acknowledge"),
    ],
)
async def test_a_journal_that_fails_is_a_problem_with_its_own_kind(
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    kind: str,
    method: str,
    path: str,
    broken: str,
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(running.journal, broken, fail)
    body = {"seq": 0} if method == "POST" else None
    reply = await running.api.request(method, path, body)
    assert (reply.status, reply.body["kind"]) == (status, kind)
    assert ("a bug" in reply.body["detail"]) is False
    assert not any(one["connected"] for one in await after(monkeypatch, running))


async def after(monkeypatch: pytest.MonkeyPatch, running: Running) -> list[dict[str, Any]]:
    monkeypatch.undo()
    return await running.api.subscribers()


@pytest.mark.parametrize(
    ("error", "status", "kind", "errors"),
    [
        (RosterError(["r:1: a", "r:2: b"]), 422, "bad-roster", ["r:1: a", "r:2: b"]),
        (ConfigError("cannot: x"), 422, "bad-roster", ["cannot: x"]),
        (ConnectorNotImplementedError("cannot: y"), 422, "bad-roster", ["cannot: y"]),
        (FleetchatError("cannot: stopping"), 503, "stopping", None),
    ],
)
async def test_a_refused_reload_says_why(
    running: Running, error: Exception, status: int, kind: str, errors: list[str] | None
) -> None:
    running.reload_error = error
    reply = await running.api.reload()
    assert (reply.status, reply.body["kind"], reply.body.get("errors")) == (status, kind, errors)


async def test_a_stream_whose_journal_fails_breaks_off_and_is_no_second_answer(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.happen(said("one", "1"), said("x" * 20_000, "2"), said("three", "3"))
    whole = running.journal.events_after

    def fail_after_one(seq: int, wanted: Filter, max_bytes: int) -> Any:
        if seq:
            raise JournalError("cannot read")
        return whole(seq, wanted, max_bytes)

    monkeypatch.setattr(running.journal, "events_after", fail_after_one)
    answer = await exchange(running.path, b"GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.closed
    assert answer.content.count(b"HTTP/1.1") == 1
    assert b'"text":"one"' in answer.body
    assert not answer.body.endswith(b"0\r\n\r\n")  # not to be taken for the whole


async def test_a_stream_of_what_is_pending_ends_though_more_keeps_coming(
    running: Running,
) -> None:
    await running.happen(*(said("x" * 1000, f"a{number}") for number in range(100)))
    stop = asyncio.Event()

    async def keep_talking() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await running.happen(*(said("y" * 1000, f"b{number}.{n}") for n in range(40)))

    async with asyncio.TaskGroup() as group:
        group.create_task(keep_talking())
        try:
            async with asyncio.timeout(20):
                events = await running.api.pending(after=0)
        finally:
            stop.set()
    assert len(events) >= 100


async def test_a_stream_that_begins_while_the_daemon_stops_ends_at_once(running: Running) -> None:
    running.server._service.streams.end_all()
    async with asyncio.timeout(5), running.api.events(subscriber="a") as stream:
        assert await stream.next_or_end() is None


async def test_a_long_line_that_is_redacted_under_way_is_not_finished(running: Running) -> None:
    await running.happen(said("secret" * 200_000, "long"))
    reader, writer = await asyncio.open_unix_connection(str(running.path), limit=1024)
    writer.write(b"GET /v1/events?after=0 HTTP/1.0\r\n\r\n")
    received = await reader.readuntil(b"\r\n\r\n")
    time = "2026-11-23T00:00:00.000Z"
    await running.happen(
        RedactionEvent(time=time, connector="memory", id="r", sender="ann", target="long")
    )
    with contextlib.suppress(ConnectionResetError):
        while chunk := await reader.read(1 << 16):
            received += chunk
    writer.close()
    assert b"\n" not in received.partition(b"\r\n\r\n")[2]
    assert [event.get("text") for event in await running.api.pending(after=0)] == [
        "[redacted]",
        None,
    ]


async def test_readers_who_come_and_go_leave_nothing_behind(running: Running) -> None:
    for _ in range(20):
        async with running.api.events(), running.api.events(subscriber="a"):
            pass

    async def all_gone() -> bool:
        return not running.server._service.streams._all

    await eventually("all readers gone", all_gone)
