"""The configuration of the tests' homeservers: a private one's, with nothing limited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleetchatd.homeserver import config

SERVER_NAME = "fleet.test"
_OPEN = {"per_second": 100_000, "burst_count": 100_000}


def write(directory: Path, port: int, secret: str, overrides: Mapping[str, Any]) -> Path:
    """Write all that Synapse needs to start in `directory`; return its config file."""
    directory.mkdir(parents=True, exist_ok=True)
    settings = config.settings(directory, port, secret, server_name=SERVER_NAME)
    return config.write(directory, settings | _FOR_TESTS | dict(overrides))


_FOR_TESTS = {
    "bcrypt_rounds": 4,  # as cheap as bcrypt goes: the passwords are toys
    # The default answers a repeated first /sync from a cache for two minutes, which would
    # hide a client that lost its position.
    "caches": {"sync_response_cache_duration": 0},
    "rc_message": _OPEN,
    "rc_registration": _OPEN,
    "rc_admin_redaction": _OPEN,
    "rc_login": {"address": _OPEN, "account": _OPEN, "failed_attempts": _OPEN},
    "rc_joins": {"local": _OPEN, "remote": _OPEN},
    "rc_joins_per_room": _OPEN,
    "rc_invites": {"per_room": _OPEN, "per_user": _OPEN, "per_issuer": _OPEN},
    "rc_room_creation": _OPEN,
}
