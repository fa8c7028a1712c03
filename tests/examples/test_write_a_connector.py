"""docs/how-to/write-a-connector.md, typed, and the package that it walks through."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.examples.conftest import VERSIONS
from tests.harness.documents import tested_blocks
from tests.harness.packaging import environment
from tests.harness.synapse_install import REPOSITORY

PACKAGE = REPOSITORY / "examples" / "fleetchatd-connector-xmpp"


def test_the_package_is_installed_checked_and_passes_the_contract_suite(own_venv: Path) -> None:
    for block in tested_blocks(
        "test_the_package_is_installed_checked_and_passes_the_contract_suite"
    ):
        done = subprocess.run(
            ["sh", "-euc", block.replace(".venv/bin/", f"{own_venv}/bin/")],
            cwd=REPOSITORY,
            env=environment() | {"UV_CONSTRAINT": str(VERSIONS)},
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"


def test_the_page_shows_what_stands_in_the_package() -> None:
    files = [path.read_text() for path in PACKAGE.rglob("*.*") if path.suffix in (".py", ".toml")]
    for block in tested_blocks("test_the_page_shows_what_stands_in_the_package"):
        for piece in block.split("…\n"):
            assert any(piece.strip("\n") in text for text in files), piece
