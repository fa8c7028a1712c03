"""Kinds of values on the command line."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError


def seconds(word: str) -> float:
    """A length of time in seconds, not negative."""
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:  # nan is neither
        raise ArgumentTypeError(f"{word!r} is not a number of seconds")
    return value


def count(word: str) -> int:
    """How many of something: at least one."""
    value = _natural(word)
    if not value:
        raise ArgumentTypeError(f"{word!r} is not a number above 0")
    return value


def sequence_number(word: str) -> int:
    """An event's `seq`."""
    value = _natural(word)
    if value is None:
        raise ArgumentTypeError(f"{word!r} is not a sequence number")
    return value


def _natural(word: str) -> int | None:
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 18 else None


def add_name(parser: ArgumentParser, *, required: bool = True) -> None:
    """The subscriber's name."""
    parser.add_argument(
        "--name", metavar="NAME", required=required, help="the subscriber: letters, digits, . _ -"
    )
