"""The nonce under which Discord takes two requests for one message ("Create Message")."""

from __future__ import annotations

import base64
import hashlib

_BYTES = 15  # 24 characters; a nonce may have 25


def nonce_of(transaction_id: str) -> str:
    """The nonce of a part: the same for every attempt, in whatever process it is made."""
    digest = hashlib.blake2b(transaction_id.encode(), digest_size=_BYTES).digest()
    return base64.b32encode(digest).decode().lower()
