"""Records: one an event, in each format, without secrets, and never worth a failure."""

from __future__ import annotations

import io
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import logging_journald
import pytest
import structlog

from fleetchatd import logs

Configure = Callable[..., io.BytesIO]


# The library keeps its socket as long as the process lives.
pytestmark = pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Sets logging up on bytes of the test's own, and takes it down again."""

    def make(log_format: logs.LogFormat = "json", level: str = "info", raw: Any = None) -> Any:
        raw = raw or io.BytesIO()
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw))
        logs.configure(log_format, level)
        return raw

    monkeypatch.setattr(logs, "_secrets", set())
    handlers, level = logging.root.handlers[:], logging.root.level
    before = structlog.get_config()
    yield make
    structlog.configure(**before)
    logging.root.handlers[:], logging.root.level = handlers, level
    logging.getLogger("aiohttp.server").setLevel(logging.NOTSET)


def log() -> Any:
    return structlog.get_logger("test")


def records(raw: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw.getvalue().splitlines()]


def fail(message: str) -> None:
    raise RuntimeError(message)


def test_json_is_one_object_a_line_with_the_sentence_and_its_fields(configure: Configure) -> None:
    raw = configure()
    log().warning("the chat\nis away", fleetchat_connector="matrix", attempts=3)
    (record,) = records(raw)
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "event": "the chat\nis away",
        "level": "warning",
        "fleetchat_connector": "matrix",
        "attempts": 3,
    }


def test_an_exception_is_one_record(configure: Configure) -> None:
    raw = configure()
    try:
        fail("broke\nin two")
    except RuntimeError:
        log().exception("it broke")
    (record,) = records(raw)
    assert "RuntimeError: broke\nin two" in record["exception"]


def test_what_is_below_the_level_is_not_written(configure: Configure) -> None:
    raw = configure(level="warning")
    log().info("no")
    log().debug("no")
    log().warning("yes")
    assert [record["event"] for record in records(raw)] == ["yes"]


def test_the_console_is_for_people_and_colourless_where_there_is_no_terminal(
    configure: Configure,
) -> None:
    raw = configure("console")
    try:
        fail("why")
    except RuntimeError:
        log().exception("it broke", attempts=3)
    text = raw.getvalue().decode()
    assert "it broke" in text
    assert "attempts=3" in text
    assert "RuntimeError: why" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_secret_is_cut_out_of_sentences_fields_and_tracebacks(
    configure: Configure, log_format: logs.LogFormat
) -> None:
    raw = configure(log_format)
    logs.hide("syt_secret")
    try:
        fail("Bearer syt_secret refused")
    except RuntimeError as error:
        log().exception("with syt_secret", url="x?t=syt_secret", error=error, some=["syt_secret"])
    logging.getLogger("aiohttp.client").error("library says %s", "syt_secret")
    assert b"syt_secret" not in raw.getvalue()
    assert raw.getvalue().count(b"***") >= 6


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_text_that_is_no_unicode_does_not_stop_a_record(
    configure: Configure, log_format: logs.LogFormat
) -> None:
    raw = configure(log_format)
    log().info("half \ud800", path="\udcff")
    assert b"half" in raw.getvalue()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError()])
def test_a_log_that_cannot_be_written_fails_nothing(configure: Configure, error: OSError) -> None:
    class Full(io.BytesIO):
        def write(self, record: object) -> int:
            raise error

    configure(raw=Full())
    log().error("nobody will read this")


@pytest.mark.parametrize(
    ("number", "level"),
    [(5, None), (25, "info"), (30, "warning"), (35, "warning"), (60, "critical")],
)
def test_what_libraries_log_arrives_at_any_level_of_theirs(
    configure: Configure, number: int, level: str | None
) -> None:
    raw = configure()
    logging.root.setLevel(1)
    logging.getLogger("aiohttp.client").log(number, "it is %s", "odd")
    assert [record["level"] for record in records(raw)] == ([] if level is None else [level])


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = tmp_path / "journal"
    monkeypatch.setattr(logging_journald.JournaldTransport, "SOCKET_PATH", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(path))
        made.settimeout(5)
        yield made


def test_the_journal_gets_native_fields_and_all_of_them_in_the_sentence(
    configure: Configure, journald: socket.socket
) -> None:
    raw = configure("journal")
    log().info("message accepted", fleetchat_message_id="m1", fleetchat_peer_pid=7, attempts=2)
    fields = dict(line.split("=", 1) for line in journald.recv(9999).decode().splitlines())
    assert fields == {
        "MESSAGE": "message accepted (message_id: m1, peer_pid: 7, attempts: 2)",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "fleetchatd",
        "FLEETCHAT_MESSAGE_ID": "m1",
        "FLEETCHAT_PEER_PID": "7",
    }
    assert raw.getvalue() == b""


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3)]
)
def test_the_journal_gets_syslogs_priorities(
    configure: Configure, journald: socket.socket, level: str, priority: int
) -> None:
    configure("journal", "debug")
    getattr(log(), level)("x", fleetchat_thread_id=None)
    record = journald.recv(9999)
    assert f"PRIORITY={priority}\n".encode() in record
    assert b"THREAD_ID" not in record


def test_a_traceback_and_odd_text_are_one_native_record(
    configure: Configure, journald: socket.socket
) -> None:
    configure("journal")
    logs.hide("syt_secret")
    try:
        fail("syt_secret \ud800")
    except RuntimeError:
        log().exception("it broke", fleetchat_thread_id="a\nPRIORITY=0")
    record = journald.recv(99999)
    assert record.startswith(b"MESSAGE\n")  # the form with a length: it has line breaks
    assert b"RuntimeError: *** \\ud800" in record
    assert b"\nPRIORITY=3\n" in record
    assert b"FLEETCHAT_THREAD_ID\n" in record
    journald.setblocking(False)
    with pytest.raises(BlockingIOError):
        journald.recv(1)


def test_a_journal_that_is_gone_fails_nothing(configure: Configure, tmp_path: Path) -> None:
    transport = logging_journald.JournaldTransport
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "SOCKET_PATH", tmp_path / "nowhere")
        configure("journal")
        log().error("nobody will read this")


def test_auto_is_json_where_there_is_neither_a_journal_nor_a_terminal(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    raw = configure("auto")
    log().info("x")
    assert records(raw)[0]["event"] == "x"


def test_the_daemon_does_not_load_what_paints_tracebacks() -> None:
    program = "import sys, fleetchatd.__main__; print('rich' in sys.modules); import rich"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "False\n"), run.stderr
