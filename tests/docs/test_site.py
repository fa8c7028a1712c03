"""The site is built from the pages, and a warning is an error."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.harness.documents import pages
from tests.harness.synapse_install import REPOSITORY


def test_make_docs_builds_every_page_without_a_warning(tmp_path: Path) -> None:
    site = tmp_path / "site"
    built = subprocess.run(
        ["make", "docs", f"SITE={site}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    documents = [page for page in pages() if page.is_relative_to(REPOSITORY / "docs")]
    made = {site / page.relative_to(REPOSITORY / "docs").with_suffix(".html") for page in documents}
    assert {page for page in made if not page.exists()} == set()
