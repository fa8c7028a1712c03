"""The real homeserver of the tests, installed once, as `fleetchat homeserver up` does it."""

from __future__ import annotations

import os
from pathlib import Path

from fleetchatd.homeserver import install

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """`$FLEETCHATD_TEST_CACHE`, else `.cache` in the repository."""
    named = os.environ.get("FLEETCHATD_TEST_CACHE")
    return Path(named) if named else REPOSITORY / ".cache"


def ensure_installed() -> Path:
    """Install Synapse unless it is there, and return the Python that can run it.

    Raises:
        FleetchatError: it cannot be installed; tests that need it must fail, not be skipped.
    """
    return install.ensure_installed(cache_dir() / "homeserver", print)
