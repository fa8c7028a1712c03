"""What only Discord writes like this, before it is trusted (connectors/untrusted.py)."""

from __future__ import annotations

import re
from typing import Final

KIND: Final = "discord"

_ID = re.compile(r"[0-9]{1,20}")


def id_of(value: object) -> str | None:
    """`value` if it is an id as Discord writes them: 64 bits, in decimal ("Snowflakes")."""
    if not isinstance(value, str) or not _ID.fullmatch(value) or int(value) >= 2**64:
        return None
    return value


def bits_of(value: object) -> int:
    """Permissions, which come as decimal strings; none for anything else."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return int(value)
    return value if type(value) is int and value > 0 else 0
