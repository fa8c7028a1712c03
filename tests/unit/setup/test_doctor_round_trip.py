"""The round trip's one message: sent at most once, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from fleetchatd.connectors.memory import MemoryConnector
from fleetchatd.errors import SendAmbiguous, SendDeferred, SendRefused, SendUnknown
from fleetchatd.model import OutboundPart, SendResult
from fleetchatd.roster import Roster, load_roster
from fleetchatd.setup import round_trip
from tests.harness.rosters import write_roster


@pytest.fixture
def roster(tmp_path: Path) -> Roster:
    return load_roster(write_roster(tmp_path / "roster.yaml", "memory"))


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[OutboundPart]:
    """Every attempt to send that a connector was asked for."""
    made: list[OutboundPart] = []
    send = MemoryConnector.send

    async def noted(self: MemoryConnector, part: OutboundPart) -> SendResult:
        made.append(part)
        return await send(self, part)

    monkeypatch.setattr(MemoryConnector, "send", noted)
    return made


async def test_it_says_that_it_is_a_test_and_who_asked_for_it(
    roster: Roster, tries: list[OutboundPart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    finding = await round_trip.through_connector(roster, str(tmp_path / "state"))
    assert finding.level == "ok"
    (part,) = tries
    assert part.text.startswith("This is a test")
    assert "ann on " in part.text


@pytest.mark.parametrize(
    ("outcome", "what"),
    [
        (SendRefused("it is too long"), "nothing was sent: it is too long"),
        (SendDeferred("not now"), "nothing was sent: not now"),
        (SendAmbiguous("no answer"), "was sent, perhaps: no answer"),
        (SendUnknown("it ended"), "was sent, perhaps: it ended"),
        (KeyError("syt_secret"), "was sent, perhaps: cannot look at what became of it: KeyError"),
    ],
)
async def test_whatever_becomes_of_it_it_is_tried_once(
    roster: Roster,
    tries: list[OutboundPart],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Exception,
    what: str,
) -> None:
    create = MemoryConnector.create

    def failing(*args: object) -> MemoryConnector:
        made = create(*args)  # type: ignore[arg-type]
        made.fail_next(outcome)
        return made

    monkeypatch.setattr(MemoryConnector, "create", failing)
    finding = await round_trip.through_connector(roster, str(tmp_path / "state"))
    assert finding.level == "error"
    assert finding.what.endswith(what)
    assert finding.remedy
    assert len(tries) == 1


async def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(
    roster: Roster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: MemoryConnector, part: OutboundPart) -> SendResult:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(MemoryConnector, "send", never)
    monkeypatch.setattr(round_trip, "SEND_S", 0.01)
    finding = await round_trip.through_connector(roster, str(tmp_path / "state"))
    assert "perhaps: no answer came within 0.01 s" in finding.what


async def test_through_a_chat_that_cannot_be_reached_nothing_is_sent(
    roster: Roster,
    tries: list[OutboundPart],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def deaf(self: MemoryConnector, inbox: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(MemoryConnector, "subscribe", deaf)
    monkeypatch.setattr(round_trip, "HEALTHY_S", 0.01)
    finding = await round_trip.through_connector(roster, str(tmp_path / "state"))
    assert finding.what == "round trip: nothing was sent: not receiving yet"
    assert tries == []


async def test_through_a_connector_that_breaks_nothing_is_sent(
    roster: Roster,
    tries: list[OutboundPart],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(self: MemoryConnector, inbox: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(MemoryConnector, "subscribe", broken)
    finding = await round_trip.through_connector(roster, str(tmp_path / "state"))
    assert (
        finding.what == "round trip: nothing was sent: cannot look at the chat: ZeroDivisionError"
    )
    assert tries == []


# -- through a daemon -----------------------------------------------------------------------------


@asynccontextmanager
async def scripted(
    path: Path, answer: bytes, health: bytes | None = None
) -> AsyncIterator[list[bytes]]:
    """Somebody on a socket who answers what is posted so; gives what was posted."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # one that only looks whether somebody is there
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST"):
                requests.append(head + await reader.readuntil(b"}"))
                writer.write(answer)
            else:
                writer.write(health or _http("200 OK", "{}"))
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        yield requests


def _http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "level", "what"),
    [
        (_http("200 OK", '{"state": "delivered", "remote_id": "$1"}'), "ok", "took a message in"),
        (
            _http("200 OK", '{"state": "failed", "error": "expired", "remote_ids": []}'),
            *("error", "did not take it within 20 s"),
        ),
        (_http("200 OK", '{"state": "unknown", "error": "doubt"}'), "error", "perhaps: it is unk"),
        (_http("202 Accepted", '{"state": "sending"}'), "error", "perhaps: it is sending"),
        (_http("507 Full", '{"detail": "no room; make some"}'), "error", "nothing was sent: no r"),
        (b"", "error", "perhaps: the connection broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "error", "perhaps: the connection"),
    ],
)
async def test_a_daemon_is_asked_once_whatever_it_answers(
    tmp_path: Path, answer: bytes, level: str, what: str
) -> None:
    path = tmp_path / "s"
    async with scripted(path, answer) as requests:
        finding = await asyncio.to_thread(asyncio.run, round_trip.through_daemon(str(path)))
    assert (finding.level, what in finding.what) == (level, True), finding
    (request,) = requests
    assert b"\r\nIdempotency-Key: doctor-" in request


async def test_through_a_daemon_whose_chat_takes_nothing_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_trip, "HEALTHY_S", 0.01)
    health = _http("200 OK", '{"connector": {"detail": "nobody is there; start the console"}}')
    async with scripted(tmp_path / "s", b"", health) as requests:
        finding = await asyncio.to_thread(
            asyncio.run, round_trip.through_daemon(str(tmp_path / "s"))
        )
    assert finding.what == "round trip: nothing was sent: nobody is there"
    assert finding.remedy == "start the console"
    assert requests == []
