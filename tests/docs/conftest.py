"""Somebody who has just installed fleetchatd."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest_asyncio

from tests.docs.shell import Newcomer


@pytest_asyncio.fixture
async def newcomer() -> AsyncIterator[Newcomer]:
    """One in a fresh home. Its path is short: that of a socket may have 107 bytes."""
    with TemporaryDirectory(prefix="fleetchat-") as home:
        made = Newcomer(Path(home))
        try:
            yield made
        finally:
            await made.close()
