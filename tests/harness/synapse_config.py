"""The configuration of a private Synapse: SQLite, loopback, nothing limited."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SERVER_NAME = "fleet.test"
_OPEN = {"per_second": 100_000, "burst_count": 100_000}


def write(directory: Path, port: int, secret: str, overrides: Mapping[str, Any]) -> Path:
    """Write all that Synapse needs to start in `directory`; return its config file.

    The signing key stays when it is there, so that the directory can be started again.
    """
    directory.mkdir(parents=True, exist_ok=True)
    key = directory / "signing.key"
    if not key.exists():
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        key.write_text(f"ed25519 a_test {seed}\n")
    (directory / "log.json").write_text(json.dumps(_LOGGING))
    config = directory / "homeserver.json"
    config.write_text(json.dumps(_settings(directory, port, secret) | dict(overrides), indent=1))
    return config


def _settings(directory: Path, port: int, secret: str) -> dict[str, Any]:
    return {
        "server_name": SERVER_NAME,
        "public_baseurl": f"http://127.0.0.1:{port}/",
        "pid_file": str(directory / "homeserver.pid"),
        "listeners": [
            {
                "type": "http",
                "port": port,
                "bind_addresses": ["127.0.0.1"],
                "resources": [{"names": ["client"], "compress": False}],
            }
        ],
        "database": {"name": "sqlite3", "args": {"database": str(directory / "homeserver.db")}},
        "log_config": str(directory / "log.json"),
        "signing_key_path": str(directory / "signing.key"),
        "media_store_path": str(directory / "media"),
        "registration_shared_secret": secret,
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "report_stats": False,
        "bcrypt_rounds": 4,  # as cheap as bcrypt goes: the passwords are toys
        "presence": {"enabled": False},
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


_LOGGING = {
    "version": 1,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "WARNING", "handlers": ["console"]},
    "disable_existing_loggers": False,
}
