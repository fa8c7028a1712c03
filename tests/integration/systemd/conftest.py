"""One booted systemd for all tests of this folder, and a clean service in it for each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

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
    service = SystemService(lab)
    await service.install()
    yield service
    await service.remove()


@pytest_asyncio.fixture(params=["system", "user"])
async def service(lab: Lab, request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    """The system's fleetchatd, then a user's."""
    made = SystemService(lab) if request.param == "system" else UserService(lab)
    await made.install()
    yield made
    await made.remove()


@pytest_asyncio.fixture
async def user(lab: Lab) -> AsyncIterator[UserService]:
    """A user's fleetchatd: installed, not started, with a roster of its own."""
    service = UserService(lab)
    await service.install()
    yield service
    await service.remove()
