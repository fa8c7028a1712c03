"""Rosters for the daemons of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ORCHESTRATOR = "mos"


def write_roster(path: Path, kind: str | None, **settings: Any) -> Path:
    """Write a small fleet whose connector is `kind`, with its own `settings`; return `path`.

    Without a kind the roster has no connector block, as upstream's rosters have none.
    """
    roster: dict[str, Any] = {
        "version": 1,
        "transport": "tmux",
        "agents": [{"name": ORCHESTRATOR, "runtime": "claude", "class": "orchestrator"}],
    }
    if kind is not None:
        roster["connector"] = {"kind": kind} | ({kind: settings} if settings else {})
    path.write_text(yaml.safe_dump(roster, sort_keys=False))
    return path
