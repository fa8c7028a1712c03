"""What a connector can do beside sending: the optional protocols of connectors/base.py."""

from __future__ import annotations

import functools
from typing import cast

from fleetchatd.connectors.base import Connector, LooksUp, Marks, Splits
from fleetchatd.model import Draft


@functools.cache
def _has(connector: type[Connector], ability: type) -> bool:
    """Whether a kind of connector has an optional protocol; asking that anew each time is slow."""
    return issubclass(connector, ability)


def split(connector: Connector, draft: Draft) -> tuple[str, ...]:
    """The parts that a draft goes out in."""
    if _has(type(connector), Splits):
        return cast("Splits", connector).split(draft.text, draft.format)
    return (draft.text,)


def mark(connector: Connector) -> str:
    """What must be remembered before an attempt."""
    return cast("Marks", connector).mark() if _has(type(connector), Marks) else ""


def looks_up(connector: Connector) -> bool:
    """Whether it can tell later if an attempt arrived."""
    return _has(type(connector), LooksUp)
