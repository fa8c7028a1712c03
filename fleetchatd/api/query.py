"""Query values and names, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from urllib.parse import parse_qsl

from aiohttp import web

from fleetchatd.api.problems import bad_request

NAME_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"
WAIT_PATTERN = r"^([0-5]?[0-9](\.[0-9]{1,6})?|60(\.0{1,6})?)$"
SEQ_PATTERN = r"^[0-9]{1,40}$"

_NAME = re.compile(NAME_PATTERN.replace("$", r"\Z"))
_WAIT = re.compile(WAIT_PATTERN.replace("$", r"\Z"))
_SEQ = re.compile(SEQ_PATTERN.replace("$", r"\Z"))


class Query:
    """The query of a request: every key known and given once.

    Raises:
        RequestError: it has another key, or one twice.
    """

    def __init__(self, request: web.BaseRequest, known: Iterable[str]) -> None:
        self._values: dict[str, str] = {}
        # Not `request.query`, which a stream would keep for as long as it lives.
        encoded = request.rel_url.raw_query_string
        if not encoded:
            return
        known = list(known)
        for key, value in parse_qsl(encoded, keep_blank_values=True):
            if key not in known:
                close = get_close_matches(key, known, 1)
                hint = f" (did you mean {close[0]}?)" if close else ""
                raise bad_request(f"unknown query key {key!r}{hint}", "bad-query")
            if key in self._values:
                raise bad_request(f"query key {key} is given twice", "bad-query")
            self._values[key] = value

    def text(self, key: str) -> str | None:
        """A value as it is."""
        return self._values.get(key)

    def seconds(self, key: str) -> float:
        """A number of seconds from 0 to 60; 0 without one."""
        value = self._values.get(key, "0")
        if not _WAIT.match(value):
            raise _bad(key, "a number of seconds from 0 to 60")
        return float(value)

    def number(self, key: str, default: int, low: int, high: int | None = None) -> int:
        """A whole number, `high` at most if there is such a limit."""
        value = self._values.get(key)
        if value is None:
            return default
        if _SEQ.match(value) and low <= int(value) and (high is None or int(value) <= high):
            return int(value)
        limits = f", {low} or above" if high is None else f" from {low} to {high}"
        raise _bad(key, f"a whole number{limits}")

    def flag(self, key: str, *, default: bool) -> bool:
        """`true` or `false`."""
        value = self._values.get(key)
        if value is None:
            return default
        if value not in ("true", "false"):
            raise _bad(key, "true or false")
        return value == "true"

    def choice(self, key: str, choices: tuple[str, ...]) -> str | None:
        """One of some words."""
        value = self._values.get(key)
        if value is not None and value not in choices:
            raise _bad(key, " or ".join(choices))
        return value

    def several(self, key: str, choices: tuple[str, ...]) -> frozenset[str] | None:
        """Some of some words, with commas between them."""
        value = self._values.get(key)
        if value is None:
            return None
        words = frozenset(value.split(","))
        if not words <= set(choices):
            raise _bad(key, f"some of {', '.join(choices)}, with commas")
        return words

    def name(self, key: str) -> str | None:
        """A subscriber's name."""
        value = self._values.get(key)
        return None if value is None else subscriber_name(value)


def subscriber_name(value: str) -> str:
    """A subscriber's name, checked.

    Raises:
        RequestError: it is not one.
    """
    if not _NAME.match(value):
        raise bad_request(
            "cannot use that subscriber name: use 1 to 64 of A-Z a-z 0-9 _ . -", "bad-name"
        )
    return value


def _bad(key: str, wanted: str) -> Exception:
    return bad_request(f"query value {key} must be {wanted}", "bad-query")
