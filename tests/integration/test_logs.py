"""What a running daemon writes: one record an event, and never what is nobody's business."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.waiting import eventually

TOKEN = "syt_c2VjcmV0_abcdefghijklmnop_1yZ2cd"
WORDS = "the launch code is 0000"
UNREACHABLE: dict[str, Any] = {
    "homeserver_url": "http://127.0.0.1:9",
    "user_id": "@mos:example.org",
    "room_id": "!abc:example.org",
}


def records(daemon: Daemon) -> list[dict[str, Any]]:
    return [json.loads(line) for line in daemon.log_text.splitlines()]


def everything_written(daemon: Daemon) -> bytes:
    """The log and every file of its own, save the journal, which holds what was said."""
    files = [daemon.directory / "daemon.log", *daemon.state_dir.rglob("*")]
    return b"".join(
        file.read_bytes() for file in files if file.is_file() and "journal.db" not in file.name
    )


def command_line_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
async def test_every_line_is_a_record_at_or_above_the_level(
    make_daemon: MakeDaemon, level: str
) -> None:
    daemon = make_daemon(args=["--log-level", level], echo=True)
    await daemon.start()
    await daemon.api.send(WORDS, wait_s=10)
    await daemon.api.request("GET", "/nope")
    assert await daemon.terminate() == 0
    order = ["debug", "info", "warning", "error", "critical"]
    for record in records(daemon):
        assert order.index(record["level"]) >= order.index(level)
        assert record["event"]
        assert re.fullmatch(r"[0-9T:.-]{23,26}Z", record["timestamp"])
    if level != "debug":
        assert WORDS not in daemon.log_text


async def test_a_life_in_normal_work_is_a_handful_of_plain_sentences(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    sent = await daemon.api.send(WORDS, wait_s=10)
    async with daemon.api.events(after=0, types="message") as stream:
        answer = await stream.next()
    await daemon.terminate()
    made = records(daemon)
    made[3:5] = sorted(made[3:5], key=itemgetter("event"))  # they may come in either order
    told = [(record["level"], record["event"]) for record in made]
    assert told == [
        ("info", "the connector is ok"),
        ("info", "fleetchatd is ready"),
        ("info", "message accepted"),
        ("info", "message delivered"),
        ("info", "message received"),
        ("info", "fleetchatd is stopping"),
    ]
    about = [record.get("fleetchat_message_id") for record in made]
    assert about == [None, None, sent["id"], sent["id"], answer["id"], None]
    assert {made[n]["fleetchat_connector"] for n in (0, 3, 4)} == {"memory"}


async def test_the_console_format_is_for_people(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(args=["--log-format", "console"])
    await daemon.start()
    await daemon.terminate()
    assert "fleetchatd is ready" in daemon.log_text
    assert "\x1b" not in daemon.log_text
    with pytest.raises(json.JSONDecodeError):
        records(daemon)


async def test_the_journal_format_works_on_where_there_is_no_journal(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon(args=["--log-format", "journal"])
    await daemon.start()
    assert (await daemon.api.send("on", wait_s=10))["state"] == "delivered"
    assert await daemon.terminate() == 0
    assert daemon.log_text == ""


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_a_secret_is_written_nowhere_in_an_outage_at_debug_level(
    make_daemon: MakeDaemon, log_format: str
) -> None:
    daemon = make_daemon(
        kind="matrix",
        env={"MATRIX_ACCESS_TOKEN": TOKEN},
        args=["--log-level", "debug", "--log-format", log_format],
        **UNREACHABLE,
    )
    await daemon.start()
    await daemon.api.send(WORDS)
    health = await daemon.api.wait_health(lambda health: health["status"] != "ok")
    metrics = await daemon.api.demand("GET", "/v1/metrics")
    command_line = command_line_of(daemon.pid)
    daemon.roster.write_text("version: 7\n")
    refused = await daemon.api.reload()
    assert await daemon.terminate() == 0
    for shown in (json.dumps(health), metrics, json.dumps(refused.body), command_line):
        assert TOKEN not in shown
    assert TOKEN.encode() not in everything_written(daemon)


async def test_an_outage_is_few_records_none_above_warning(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(kind="matrix", env={"MATRIX_ACCESS_TOKEN": TOKEN}, **UNREACHABLE)
    await daemon.start()
    for number in range(20):
        await daemon.api.send(WORDS, thread_id=f"$t{number}")
    # Not for luck: what is asked is how much it says in a time.
    await asyncio.sleep(5)
    told = [record for record in records(daemon) if record["event"] != "message accepted"]
    assert len(told) < 15
    assert {record["level"] for record in told} <= {"info", "warning"}
    assert "warning" in {record["level"] for record in told}
    assert WORDS not in daemon.log_text


async def test_a_refused_roster_is_an_error_a_mistake(daemon: Daemon) -> None:
    daemon.roster.write_text("version: 7\ntransport: smoke\n")
    reply = await daemon.api.reload()
    refused = [record["event"] for record in records(daemon) if record["level"] == "error"]
    assert refused == [f"cannot reload the roster: {error}" for error in reply.body["errors"]]


@contextmanager
def redirected(daemon: Daemon, redirection: str) -> Iterator[int]:
    """The daemon, its pid, with its streams as a shell has them so; well at its end."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *daemon._command()]
    # Where this is set, as in CI, Python keeps nothing that it could not write for its end.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(command, env=env)
    try:
        yield process.pid
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("redirection", "place"),
    [("</dev/null >/dev/full 2>&1", "/dev/full"), ("<&- >&- 2>&-", os.devnull)],
)
async def test_a_log_that_can_be_written_nowhere_stops_no_work(
    make_daemon: MakeDaemon, redirection: str, place: str
) -> None:
    daemon = make_daemon()

    async def answers() -> bool:
        return daemon.socket.exists() and bool(await daemon.api.health())

    with redirected(daemon, redirection) as pid:
        await eventually("the daemon answers", answers)
        for _ in range(50):
            assert (await daemon.api.send("on", wait_s=10))["state"] == "delivered"
        # No file of the daemon's has got a number that libraries write to, whatever it is.
        streams = [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]
        assert streams == [os.devnull, place, place]
