"""The running daemon against its own OpenAPI description, driven by schemathesis."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings

from fleetchatd.api.openapi import description
from fleetchatd.api.query import WAIT_PATTERN
from fleetchatd.api.routes import ROUTES
from tests.harness import unix_http
from tests.harness.daemon import Daemon

# What a schema cannot say: keys of a query that exclude each other, and seqs that do not exist yet.
REFUSED_THOUGH_WELL_FORMED = {
    "/v1/events": [200, 400, 409, 422],
    "/v1/subscribers/{name}/ack": [200, 404, 422],
}
CONFIG = {
    "operations": [
        {
            "include-path": path,
            "checks": {"positive_data_acceptance": {"expected-statuses": statuses}},
        }
        for path, statuses in REFUSED_THOUGH_WELL_FORMED.items()
    ]
}

DESCRIPTION = description(ROUTES)
api = schemathesis.openapi.from_dict(DESCRIPTION, config=schemathesis.Config.from_dict(CONFIG))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("d"), settings={"echo": True})
    asyncio.run(daemon.start())
    yield daemon
    assert asyncio.run(daemon.terminate()) == 0
    assert "a request failed" not in daemon.log_text
    assert "Traceback" not in daemon.log_text


@pytest.fixture(scope="module")
def client(running: Daemon) -> Iterator[requests.Session]:
    with unix_http.session(running.socket) as made:
        yield made


def test_the_daemon_serves_the_description_that_is_tested_here(client: requests.Session) -> None:
    assert client.get("http://fleetchat/v1/openapi.json").json() == DESCRIPTION


def let_it_end(case: schemathesis.Case[Any]) -> None:
    """A stream that is followed has no end to look at, and an empty one may wait for a minute."""
    if case.query.get("follow", "true") == "true":
        case.query["follow"] = "false"
    if re.match(WAIT_PATTERN, str(case.query.get("wait_s"))):
        case.query["wait_s"] = "0"


@api.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_described(
    case: schemathesis.Case[Any], client: requests.Session
) -> None:
    if case.path == "/v1/events":
        let_it_end(case)
    if case.meta and case.meta.generation.mode.is_positive and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = uuid.uuid4().hex  # another body needs another key
    case.call_and_validate(base_url="http://fleetchat", session=client)
