"""The address line that starts a message between panes, `[src -> dst] text`.

The grammar is the fleet's (a source, a destination, an optional class), with two additions that it
still accepts: `~id` ends the source, and a thread's tag ends the destination:

    [web1:operator~k3 -> web1:orchestrator#deploy class=actionable] ship it
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"\[(?P<source>\S+) -> (?P<destination>\S+?)"
    r"(?: class=(?P<event_class>terminal-log|actionable|human|reaction))?\] (?P<text>.*)",
    re.DOTALL,
)
_TAG = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]{1,200}")

# Tab and line feed are text; every other control character drives a terminal.
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}


@dataclass(frozen=True, slots=True)
class Address:
    """What stands between the brackets.

    Attributes:
        source: who speaks, `host:session`.
        id: the message's own id, if it has one.
        destination: who is meant, `host:session`.
        tag: the thread, or None.
        event_class: what the receiver should do; None means `actionable`.
    """

    source: str
    destination: str
    id: str | None = None
    tag: str | None = None
    event_class: str | None = None

    def line(self, text: str) -> str:
        """The address and `text` behind it."""
        source = self.source if self.id is None else f"{self.source}~{self.id}"
        destination = self.destination if self.tag is None else f"{self.destination}#{self.tag}"
        shown = "" if self.event_class is None else f" class={self.event_class}"
        return f"[{source} -> {destination}{shown}] {text}"


def parse(line: str) -> tuple[Address, str] | None:
    """The address at the start of `line`, and the text behind it; None if there is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    source, _, message_id = match["source"].partition("~")
    destination, _, tag = match["destination"].partition("#")
    address = Address(source, destination, message_id or None, tag or None, match["event_class"])
    return address, match["text"]


def is_tag(thread_id: str) -> bool:
    """Whether a thread's id can stand in an address."""
    return _TAG.fullmatch(thread_id) is not None and "] " not in thread_id


def clean(text: str) -> str:
    """`text` without control characters, its line ends as line feeds."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)
