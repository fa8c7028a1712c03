"""What the examples need beside what is tested everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.packaging import UV, environment
from tests.harness.synapse_install import REPOSITORY

VERSIONS = Path(__file__).with_name("versions.txt")


@pytest.fixture(scope="module")
def own_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .venv as `make setup` makes it, into which a test may install."""
    folder = tmp_path_factory.mktemp("clone") / ".venv"
    sync = ("sync", "--frozen", "--quiet", "--extra", "discord", "--no-managed-python")
    subprocess.run(
        [UV, *sync, "--project", REPOSITORY, "--python", sys.executable],
        env=environment() | {"UV_PROJECT_ENVIRONMENT": str(folder)},
        check=True,
    )
    return folder
