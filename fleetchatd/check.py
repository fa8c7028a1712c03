"""What `fleetchatd --check` prints: what would run. Opens no connection, writes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleetchatd.connectors import registry
from fleetchatd.roster import Roster
from fleetchatd.secrets import read_secret


def describe(roster: Roster, state_dir: str | Path, environ: Mapping[str, str] = os.environ) -> str:
    """What would run with `roster`, one fact a line.

    Raises:
        SecretError: a secret that the connector needs is missing or malformed.
        ConnectorNotImplementedError: nothing here implements the connector.
        ConfigError: the plug-in that has the connector cannot be loaded.
    """
    registry.connector_class(roster.connector_kind)
    facts = [
        ("roster", roster.path),
        ("connector", roster.connector_kind),
        *((f"  {key}", _shown(value)) for key, value in roster.connector_settings.items()),
        ("orchestrator", f"{roster.host}:{roster.orchestrator.name}"),
        ("agents", str(len(roster.agents))),
        ("state", str(state_dir)),
    ]
    facts += [
        (name, f"from {read_secret(name, state_dir, environ).source}")
        for name in registry.secret_names(roster.connector_kind)
    ]
    width = max(len(name) for name, _ in facts)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in facts)


def _shown(value: Any) -> str:
    """A setting as people write it; anything odd as JSON, so that it cannot drive a terminal."""
    plain = isinstance(value, str) and value.isprintable()
    return value if plain else json.dumps(value)
