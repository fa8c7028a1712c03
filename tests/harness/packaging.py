"""The wheel of this tree, and the versions to install it with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.harness.synapse_install import REPOSITORY

UV = REPOSITORY / ".venv-uv" / "bin" / "uv"
"""The uv that tools/setup fetched."""

_EXPORT = ("--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes")


_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def environment() -> dict[str, str]:
    """What uv is to run with: as in tools/setup, the system's certificates count."""
    trusted = {"SSL_CERT_FILE": str(_CERTIFICATES)} if _CERTIFICATES.exists() else {}
    return trusted | os.environ


def build_wheel(folder: Path) -> Path:
    """The wheel of this tree."""
    _said("build", "--quiet", "--wheel", "--out-dir", folder, REPOSITORY)
    (wheel,) = folder.glob("*.whl")
    return wheel


def locked_versions(path: Path) -> Path:
    """A file of constraints with what uv.lock has."""
    path.write_bytes(_said("export", *_EXPORT, "--project", REPOSITORY))
    return path


def _said(*arguments: str | Path) -> bytes:
    return subprocess.run(
        [UV, *arguments], check=True, stdout=subprocess.PIPE, env=environment()
    ).stdout
