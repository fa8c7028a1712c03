"""The way to a server: what is said of the certificate, the clocks and a way that fails."""

from __future__ import annotations

import re
import ssl
from unittest.mock import Mock

import aiohttp
import pytest

from fleetchatd.connectors.network import why
from fleetchatd.connectors.probe import Answer, examine_way, finding, judged
from tests.fakes.calls import Answer as Reply
from tests.fakes.faults import respond
from tests.fakes.homeserver import FakeMatrixRoom

NOW = 1_795_000_000.0
DAY_S = 86400.0


@pytest.mark.parametrize(
    ("url", "answer", "level", "says"),
    [
        ("https://h.test/x", Answer(0, NOW + 15 * DAY_S), "ok", "https://h.test answers; its cert"),
        ("https://h.test", Answer(0, NOW + 13 * DAY_S), "warning", "valid until 2026-12-01"),
        ("http://127.0.0.1:8008", Answer(0, None), "ok", "answers"),
        ("http://[::1]:8008", Answer(0, None), "ok", "answers"),
        ("http://127.0.0.1.h.test", Answer(0, None), "warning", "unencrypted"),
        ("https://h.test", Answer(60, NOW + DAY_S * 99), "ok", "clock agrees"),
        ("https://h.test", Answer(61, NOW + DAY_S * 99), "warning", "61 seconds behind"),
        ("https://h.test", Answer(-7200, NOW + DAY_S * 99), "warning", "2 hours ahead of"),
    ],
)
def test_what_an_answer_tells(url: str, answer: Answer, level: str, says: str) -> None:
    (found,) = (one for one in judged(url, answer, NOW, about="url") if says in one.what)
    assert found.level == level
    assert (found.remedy is None) == (level == "ok")


def test_a_server_that_tells_no_time_has_no_clock_to_compare() -> None:
    assert len(judged("https://h.test", Answer(None, NOW + 99 * DAY_S), NOW, about="url")) == 1


def test_a_certificate_that_has_ended_needs_no_other_authority() -> None:
    ended = ssl.SSLCertVerificationError("x")
    ended.verify_code, ended.verify_message = 10, "certificate has expired"
    error = aiohttp.ClientConnectorCertificateError(Mock(), ended)
    assert re.search(r"\(certificate has expired\); have its administrator renew it", why(error))


def test_the_remedy_is_what_stands_last() -> None:
    whole = finding("error", "he said (a; b); do c", "url", "else")
    assert (whole.what, whole.remedy) == ("he said (a; b)", "do c")
    assert finding("error", "no", "url", "else").remedy == "else"


@pytest.mark.parametrize(
    ("headers", "clock"),
    [
        ({"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, "ahead of the server's"),
        ({"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Age": "9" * 400}, None),
        ({"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Age": "\xb2"}, "ahead of the server's"),
        ({"Date": "soon"}, None),
        ({"Date": "Thu, 01 Jan 99999 00:00:00 GMT"}, None),
        ({}, "agrees"),
    ],
)
async def test_whatever_a_server_says_is_the_time(
    fake: FakeMatrixRoom, headers: dict[str, str], clock: str | None
) -> None:
    fake.server.fail("GET", "/any", respond(Reply(302, b"", headers)))
    found = await examine_way(f"{fake.server.base_url}/any", about="url")
    clocks = [one.what for one in found if "clock" in one.what]
    assert [clock in what for what in clocks if clock] == ([True] if clock else [])
    assert bool(clocks) == bool(clock)


@pytest.mark.parametrize(
    ("url", "proxy", "says"),
    [
        ("http://127.0.0.1:9", "", "Connection refused"),
        ("http://h.test:99999", "", "its address is none"),
        ("https://[:::::]", "", "Name or service not known"),
        ("https://h.invalid", "", "cannot be resolved"),
        ("https://h.test", "http://ann:Geheim99@127.0.0.1:9", "on the way to the proxy"),
        ("https://h.test", "http://[bad", "its address is none"),
    ],
)
async def test_a_way_that_fails_ends_in_an_error_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, url: str, proxy: str, says: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    found = await examine_way(url, about="homeserver_url")
    last = found[-1]
    assert (last.level, last.about) == ("error", "homeserver_url")
    assert says in last.what
    assert last.remedy
    assert "Geheim99" not in str(found)
    assert any("proxy" in one.what for one in found) == bool(proxy)
