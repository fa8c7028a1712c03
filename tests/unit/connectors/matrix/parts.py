"""Outbound parts for the tests of this folder."""

from __future__ import annotations

from typing import Any

from fleetchatd.model import Draft, Message, OutboundPart


def part(text: str, *others: str, index: int = 0, **draft: Any) -> OutboundPart:
    """Part `index` of a message that consists of the given parts."""
    parts = (text, *others)
    message = Message(
        id="01JDM0TX",
        order=1,
        time="2026-11-23T09:00:00.000Z",
        draft=Draft("".join(parts), **draft),
        target="matrix:@mos:example.internal",
        parts=parts,
    )
    return OutboundPart(message, index)
