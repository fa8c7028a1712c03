"""One record an event, on standard error or in the systemd journal with native fields.

Every record is a plain sentence with fields beside it. In the journal the sentence shows them all,
and those whose names begin with `fleetchat_` are native fields besides. A text of a message is
logged at debug level alone; a secret never: what `hide` was told is cut out of whatever reaches a
renderer, in case a library quotes it.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from types import NoneType
from typing import Any, BinaryIO, Literal

import orjson

from fleetchatd.model import rfc3339

# structlog loads rich wherever that is installed, as it is for the console: 5 MB, and half of what
# loading it takes, for tracebacks with colours and local variables, which no log of ours may have.
if not {"structlog", "rich"} & sys.modules.keys():
    sys.modules["rich"] = None  # type: ignore[assignment] # importing it fails (importlib)
    importlib.import_module("structlog")
    del sys.modules["rich"]

import structlog

LogFormat = Literal["auto", "console", "json", "journal"]
FORMATS: tuple[LogFormat, ...] = ("auto", "console", "json", "journal")
LEVELS = ("debug", "info", "warning", "error")

IDENTIFIER = "fleetchatd"
OWN = "fleetchat_"
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
"""syslog's priorities, as sd-daemon(3) has them."""

_secrets: set[str] = set()
_HARMLESS = (int, float, NoneType)

Fields = MutableMapping[str, Any]


def hide(secret: str) -> None:
    """Never let this value into a record."""
    _secrets.add(secret)


def without_secrets(text: str) -> str:
    """`text` with every hidden value cut out."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    return text


def open_standard_files() -> None:
    """Open what was closed by whoever started the process (`2>&-`) on the null device.

    Otherwise the next file that is opened, the journal's perhaps, gets standard error's number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, so this one
            os.set_inheritable(number, True)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def say(sentence: str) -> None:
    """Say something on standard error, if that can be written."""
    with suppress(OSError):
        print(sentence, file=sys.stderr)


def give_up_what_cannot_be_written() -> None:
    """Let the interpreter's own flush at the end go nowhere: failing, it would exit with 120."""
    for file in (sys.stdout, sys.stderr):
        try:
            if file is not None:
                file.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def last_words(sentence: str, log_format: LogFormat) -> None:
    """Record why the process ends at once, as an error.

    journald looks up which unit a native record came from when it reads it, and the process may
    have ended by then; of what comes through standard error it knows from the beginning.
    """
    if log_format in ("auto", "journal") and stderr_is_journal():
        say(f"<{PRIORITIES['error']}>{_text(sentence)}")
    else:
        structlog.get_logger(IDENTIFIER).error(sentence)


def broke() -> None:
    """Record an exception that nobody expected, as the process ends by it."""
    structlog.get_logger(IDENTIFIER).critical("fleetchatd broke", exc_info=True)


def configure(log_format: LogFormat, level: str) -> None:
    """Set up logging for the process.

    Args:
        log_format: `auto` is the journal under systemd, colours on a terminal, else JSON.
        level: the lowest that is written, one of `LEVELS`.
    """
    open_standard_files()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,  # before secrets are hidden: it may quote some
            _without_secrets,
            *_renderer(log_format),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(_Unfailing(sys.stderr.buffer)),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard library; aiohttp's server logs a traceback for every
    # malformed request, which api/server.py answers by itself.
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


def _renderer(log_format: LogFormat) -> list[Any]:
    if log_format == "auto":
        if stderr_is_journal():
            log_format = "journal"
        else:
            log_format = "console" if sys.stderr.isatty() else "json"
    if log_format == "journal":
        return [_journal()]
    if log_format == "console":
        # From here on, so that a daemon that logs JSON or to the journal does not pay for it.
        from structlog.dev import ConsoleRenderer, plain_traceback

        console = ConsoleRenderer(
            colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ,
            exception_formatter=plain_traceback,
        )
        return [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            lambda *args: console(*args).encode(errors="replace"),
        ]
    return [_json]


def _json(_logger: Any, _method: str, fields: Fields) -> bytes:
    fields = {"timestamp": rfc3339(time.time()), **fields}
    try:
        return orjson.dumps(fields, default=str)
    except TypeError:  # lone surrogates, say, out of a file's name or a chat
        return json.dumps(fields, default=str).encode()


def _without_secrets(_logger: Any, _method: str, fields: Fields) -> Fields:
    for secret in _secrets:
        for name, value in fields.items():
            if not isinstance(value, _HARMLESS) and secret in (text := str(value)):
                fields[name] = text.replace(secret, "***")
    return fields


def stderr_is_journal() -> bool:
    """Whether standard error is the journal's stream (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        stat = os.fstat(sys.stderr.fileno())
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def _journal() -> Callable[[Any, str, Fields], bytes]:
    """A last processor that sends native records (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    from logging_journald import JournaldTransport

    transport = JournaldTransport(connected=False)

    def send(_logger: Any, _method: str, fields: Fields) -> bytes:
        with suppress(OSError):  # no journal, no record; the work goes on
            transport.send(_native(fields))
        raise structlog.DropEvent

    return send


def _native(fields: Fields) -> list[tuple[str, str | int]]:
    """A record's fields as the journal knows them."""
    level = fields.pop("level", "info")
    sentence = _text(fields.pop("event", ""))
    traceback = fields.pop("exception", None)
    present = {name: _text(value) for name, value in fields.items() if value is not None}
    own = [(name.upper(), value) for name, value in present.items() if name.startswith(OWN)]
    shown = ", ".join(f"{name.removeprefix(OWN)}: {value}" for name, value in present.items())
    message = f"{sentence} ({shown})" if shown else sentence
    return [
        ("MESSAGE", message if traceback is None else f"{message}\n{_text(traceback)}"),
        ("PRIORITY", PRIORITIES.get(level, 6)),
        ("SYSLOG_IDENTIFIER", IDENTIFIER),
        *own,
    ]


def _text(value: object) -> str:
    """As text that can be encoded."""
    return str(value).encode(errors="backslashreplace").decode()


class _Unfailing:
    """A file whose troubles, such as a full disk, end no work: logging is never worth that."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, record: bytes) -> None:
        with suppress(OSError, ValueError):
            self._file.write(record)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._file.flush()


class _Forward(logging.Handler):
    """What libraries log, as records of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        level = max(number for number in _NUMBERS if number <= max(record.levelno, logging.DEBUG))
        log.log(level, record.getMessage(), exc_info=record.exc_info)


_NUMBERS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
