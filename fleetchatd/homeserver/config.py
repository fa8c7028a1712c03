"""The configuration of a private Synapse: SQLite, loopback, no federation, no registration."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleetchatd.homeserver.private import write_file

SERVER_NAME = "fleet.local"
ADDRESS = "127.0.0.1"
LOG_NAME = "synapse.log"

_AMPLE = {"per_second": 50, "burst_count": 500}
"""More than two people ever do. Synapse's own limits are meant for the open internet."""


def settings(
    folder: Path, port: int, registration_secret: str, *, server_name: str = SERVER_NAME
) -> dict[str, Any]:
    """What Synapse is told.

    Args:
        folder: where it keeps its files.
        port: on loopback.
        registration_secret: who knows it may make users.
        server_name: the part of user ids after the colon; it can never be changed.
    """
    return {
        "server_name": server_name,
        "listeners": [
            {
                "type": "http",
                "port": port,
                "bind_addresses": [ADDRESS],
                "resources": [{"names": ["client"], "compress": False}],
            }
        ],
        "federation_domain_whitelist": [],
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "enable_registration": False,
        "registration_shared_secret": registration_secret,
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "signing_key_path": str(folder / "signing.key"),
        "media_store_path": str(folder / "media"),
        "log_config": str(folder / "log.json"),
        "report_stats": False,
        "presence": {"enabled": False},
        "rc_message": _AMPLE,
        "rc_login": {"address": _AMPLE, "account": _AMPLE},
        "rc_joins": {"local": _AMPLE},
        "rc_invites": {"per_room": _AMPLE, "per_user": _AMPLE, "per_issuer": _AMPLE},
    }


def write(folder: Path, values: Mapping[str, Any]) -> Path:
    """Write all that Synapse needs to start into `folder`; return its configuration file.

    The signing key stays if it is there, so that the folder can be started again.
    """
    key = folder / "signing.key"
    if not key.exists():
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        write_file(key, f"ed25519 a_fleet {seed}\n")
    write_file(folder / "log.json", json.dumps(_LOGGING, indent=1))
    config = folder / "homeserver.json"
    write_file(config, json.dumps(values, indent=1))  # JSON is YAML
    return config


_LOGGING = {
    "version": 1,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    # Warnings: from INFO on, every request has its line.
    "root": {"level": "WARNING", "handlers": ["console"]},
    "disable_existing_loggers": False,
}
