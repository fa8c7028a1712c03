"""One booted systemd for all tests of this folder, and a clean service in it for each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
import pytest_asyncio

from tests.harness.packaging import build_wheel
from tests.harness.systemd_lab import REQUIRED, CannotBootError, Lab, why_not
from tests.harness.systemd_service import Service, SystemService, UserService


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A booted systemd with this tree's wheel installed."""
    try:
        if reason := why_not():
            raise CannotBootError(reason)
        booted = Lab()
    except CannotBootError as error:
        if REQUIRED in os.environ:
            raise
        pytest.skip(f"needs a systemd of its own: {error}")
    try:
        booted.install(build_wheel(tmp_path_factory.mktemp("wheel")))
        yield booted
    finally:
        booted.close()


@pytest_asyncio.fixture
async def system(lab: Lab) -> AsyncIterator[SystemService]:
    """The system's fleetchatd: installed, not started, with a roster of its own."""
    async with ready(SystemService(lab)) as made:
        yield made


@pytest_asyncio.fixture
async def user(lab: Lab) -> AsyncIterator[UserService]:
    """A user's fleetchatd: installed, not started, with a roster of its own."""
    async with ready(UserService(lab)) as made:
        yield made


@pytest_asyncio.fixture(params=[SystemService, UserService], ids=["system", "user"])
async def service(lab: Lab, request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    """The system's fleetchatd, then a user's."""
    async with ready(request.param(lab)) as made:
        yield made


S = TypeVar("S", bound=Service)


@asynccontextmanager
async def ready(service: S) -> AsyncIterator[S]:
    await service.prepare()
    yield service
    await service.reset()
