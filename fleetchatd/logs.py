"""One record an event, on standard error or in the systemd journal with native fields.

Every record is a plain sentence with fields beside it. Fields whose names begin with `fleetchat_`
become native journal fields. A text of a message is logged at debug level alone; a secret never:
what `hide` was told is cut out of whatever reaches a renderer, in case a library quotes it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Literal

import orjson
import structlog

LogFormat = Literal["auto", "console", "json", "journal"]
FORMATS: tuple[LogFormat, ...] = ("auto", "console", "json", "journal")
LEVELS = ("debug", "info", "warning", "error")

IDENTIFIER = "fleetchatd"
PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
"""syslog's priorities, as sd-daemon(3) has them."""

_secrets: set[str] = set()

Fields = MutableMapping[str, Any]


def hide(secret: str) -> None:
    """Never let this value into a record."""
    _secrets.add(secret)


def configure(log_format: LogFormat, level: str) -> None:
    """Set up logging for the process.

    Args:
        log_format: `auto` is the journal under systemd, colours on a terminal, else JSON.
        level: the lowest that is written, one of `LEVELS`.
    """
    structlog.configure(
        processors=[structlog.processors.add_log_level, _without_secrets, *_renderer(log_format)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard library; aiohttp's server logs a traceback for every
    # malformed request, which api/server.py answers by itself.
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


def _renderer(log_format: LogFormat) -> list[Any]:
    if log_format == "auto":
        if _stderr_is_journal():
            log_format = "journal"
        else:
            log_format = "console" if sys.stderr.isatty() else "json"
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    if log_format == "journal":
        return [_journal()]
    if log_format == "console":
        # From here on, so that a daemon that logs JSON or to the journal does not pay for it.
        from structlog.dev import ConsoleRenderer

        console = ConsoleRenderer(colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ)
        return [
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            lambda *args: console(*args).encode(errors="replace"),
        ]
    return [
        structlog.processors.format_exc_info,
        stamp,
        structlog.processors.JSONRenderer(serializer=_json),
    ]


def _json(fields: Fields, **_: Any) -> bytes:
    return orjson.dumps(fields, default=str)


def _without_secrets(_logger: Any, _method: str, fields: Fields) -> Fields:
    for secret in _secrets:
        for name, value in fields.items():
            if isinstance(value, str) and secret in value:
                fields[name] = value.replace(secret, "***")
    return fields


def _stderr_is_journal() -> bool:
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
        level = fields.pop("level", "info")
        sentence = str(fields.pop("event", ""))
        native = {name: value for name, value in fields.items() if name.startswith("fleetchat_")}
        others = {
            name: value
            for name, value in fields.items()
            if name not in native and name != "exc_info" and value is not None
        }
        if fields.get("exc_info"):
            others["traceback"] = structlog.processors.format_exc_info(
                None, "", {"exc_info": fields["exc_info"]}
            )["exception"]
        shown = ", ".join(f"{name}: {value}" for name, value in others.items())
        transport.send(
            [
                ("MESSAGE", f"{sentence} ({shown})" if shown else sentence),
                ("PRIORITY", PRIORITIES.get(level, 6)),
                ("SYSLOG_IDENTIFIER", IDENTIFIER),
                *((name.upper(), value) for name, value in native.items()),
            ]
        )
        raise structlog.DropEvent

    return send


class _Forward(logging.Handler):
    """What libraries log, as records of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
