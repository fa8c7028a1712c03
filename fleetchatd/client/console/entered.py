"""What a line means that the operator has entered."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fleetchatd.tmux import address

_SURROGATES = re.compile("[\ud800-\udfff]")
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Say:
    """It is for the orchestrator."""

    text: str


@dataclass(frozen=True, slots=True)
class Thread:
    """From now on, lines go under this tag; None: under no tag."""

    tag: str | None


@dataclass(frozen=True, slots=True)
class ShowThread:
    """Under which tag do lines go?"""


@dataclass(frozen=True, slots=True)
class Help:
    """What can be typed here?"""


@dataclass(frozen=True, slots=True)
class Quit:
    """Leave the console."""


@dataclass(frozen=True, slots=True)
class Hint:
    """It cannot be meant like that; nothing is sent."""

    words: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing in it."""


Meaning = Say | Thread | ShowThread | Help | Quit | Hint | Nothing


def meaning(line: str) -> Meaning:
    """What `line` asks for; a text to send is without control characters then."""
    text = sendable(line)
    if not text.strip():
        return Nothing()
    if text.startswith("//"):
        return Say(text[1:])
    return _command(text) if text.startswith("/") else Say(text)


def sendable(text: str) -> str:
    """`text` without control characters, and with what was no UTF-8 made visible."""
    return address.clean(_SURROGATES.sub("\ufffd", text))


def _command(line: str) -> Meaning:
    name, *words = line.split()
    if name == "/thread" and len(words) < 2:
        return _thread(words[0]) if words else ShowThread()
    if name in _PLAIN and not words:
        return _PLAIN[name]
    if name in ("/thread", *_PLAIN):
        return Hint(f"{name} takes {'one tag' if name == '/thread' else 'nothing'}; see /help")
    return Hint(f"{name} is no command, and nothing was sent; /help lists them, // sends a /")


def _thread(tag: str) -> Meaning:
    if tag == _NONE:
        return Thread(None)
    tag = tag.removeprefix("#")
    return Thread(tag) if address.is_tag(tag) else Hint("that cannot be a thread's tag")


_PLAIN: dict[str, Meaning] = {"/help": Help(), "/quit": Quit()}
