"""What the documents tell people to type, for tests that type it."""

from __future__ import annotations

import re

from tests.harness.synapse_install import REPOSITORY


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code of one page of docs/how-to, in their order."""
    text = (REPOSITORY / "docs" / "how-to" / page).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
