"""Requests: where they go, what they show, and what an answer may say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio

from fleetchatd import logs
from fleetchatd.connectors.matrix.api import Api, Refused, Unreachable, base_url_of, path
from tests.fakes import faults
from tests.fakes.calls import Answer
from tests.fakes.homeserver import FakeMatrixRoom

WELL_KNOWN = "/.well-known/matrix/client"


@pytest_asyncio.fixture
async def api(fake: FakeMatrixRoom) -> AsyncIterator[Api]:
    made = Api(fake.server.base_url + "/")
    made.token = fake.bot.access_token
    yield made
    await made.close()


async def test_the_token_is_shown_only_where_it_is_wanted(api: Api, fake: FakeMatrixRoom) -> None:
    await api.request("GET", path("account", "whoami"))
    await api.request("GET", "/_matrix/client/versions", token=False)
    assert [call.token for call in fake.server.calls] == [fake.bot.access_token, None]


async def test_a_redirection_is_not_followed_with_the_token(api: Api, fake: FakeMatrixRoom) -> None:
    elsewhere = Answer(302, b"", {"Location": f"{fake.server.base_url}/elsewhere"})
    fake.server.fail("*", "*/whoami", faults.respond(elsewhere))
    with pytest.raises(Refused) as refused:
        await api.request("GET", path("account", "whoami"))
    assert not refused.value.final
    assert len(fake.server.calls) == 1


async def test_a_lookup_follows_redirections(
    fake: FakeMatrixRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = fake.server.base_url.removeprefix("http://")
    request = Api.request

    async def plain(self: Api, *args: str, **more: bool) -> dict[str, object]:
        self.base_url = self.base_url.replace("https://", "http://")
        return await request(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Api, "request", plain)
    moved = Answer(301, b"", {"Location": f"{fake.server.base_url}/moved"})
    fake.server.fail("GET", WELL_KNOWN, faults.respond(moved), times=None)
    fake.server.fail("GET", "/moved", faults.reply({"m.homeserver": {"base_url": "https://x"}}))
    assert await base_url_of(name) == "https://x"
    for url in (
        "ftp://x",
        "https://",
        "https://[x",
        "http://x:99999",
        "//x",
        "x",
        7,
        "http://\ud800",
    ):
        fake.server.fail("GET", "/moved", faults.reply({"m.homeserver": {"base_url": url}}))
        with pytest.raises(Refused, match="names no base_url"):
            await base_url_of(name)
    fake.server.fail("GET", "/moved", faults.html(404))
    assert await base_url_of(name) == fake.server.base_url


async def test_a_url_needs_no_lookup() -> None:
    assert await base_url_of("https://example.test/matrix") == "https://example.test/matrix"


async def test_a_connection_that_was_never_made_sent_nothing() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = Api(f"http://127.0.0.1:{probe.getsockname()[1]}")
        with pytest.raises(Unreachable) as failure:
            await nobody.request("GET", "/", token=False)
        await nobody.close()
    assert failure.value.never_sent


@pytest.mark.parametrize("fault", [faults.drop(), faults.lose_answer(), faults.hang()])
async def test_a_connection_that_broke_may_have_sent_it(
    api: Api, fake: FakeMatrixRoom, fault: faults.Action
) -> None:
    fake.server.fail("GET", "*", fault, times=2)
    with pytest.raises(Unreachable) as failure:
        await api.request("GET", path("account", "whoami"), timeout_s=0.3)
    assert not failure.value.never_sent


async def test_an_answer_that_trickles_in_for_ever_ends_in_time(api: Api) -> None:
    answering: list[asyncio.Task[None] | None] = []

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{")
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()  # who hangs up with something unread resets the connection
                await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    api.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(Unreachable, match="in time"):
        await api.request("GET", "/", timeout_s=0.3)
    server.close()
    await asyncio.gather(*filter(None, answering))  # it has hung up


@pytest.mark.parametrize(
    ("body", "header", "pause_s"),
    [
        (1500, None, 1.5),
        (None, "7", 7.0),
        (0, "7", 0.0),
        (None, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (None, "²", None),
        (10**12, None, 3600.0),
        ("x", "-1", None),
    ],
)
async def test_how_long_a_server_asks_to_wait(
    api: Api, fake: FakeMatrixRoom, body: object, header: str | None, pause_s: float | None
) -> None:
    refusal = faults.refuse(429, "M_LIMIT_EXCEEDED", retry_after=header, retry_after_ms=body)
    fake.server.fail("GET", "*", refusal)
    with pytest.raises(Refused) as refused:
        await api.request("GET", "/")
    assert refused.value.retry_after_s == pause_s


@pytest.mark.parametrize(
    ("status", "errcode", "final"),
    [
        (400, "M_BAD_JSON", True),
        (403, "M_FORBIDDEN", True),
        (413, "M_TOO_LARGE", True),
        (413, "", True),
        (401, "M_UNKNOWN_TOKEN", False),
        (404, "M_UNRECOGNIZED", False),
        (404, "", False),
        (408, "M_UNKNOWN", False),
        (429, "M_LIMIT_EXCEEDED", False),
        (500, "M_UNKNOWN", False),
        (302, "M_UNKNOWN", False),
    ],
)
def test_only_what_would_be_refused_again_is_final(status: int, errcode: str, final: bool) -> None:
    assert Refused(status, errcode, "").final is final


def test_what_a_refusal_says_fits_on_a_line() -> None:
    assert str(Refused(502, "", "")) == "the homeserver answered 502"
    assert str(Refused(403, "M_FORBIDDEN", "no")) == "the homeserver answered 403 M_FORBIDDEN: no"


async def test_what_a_server_writes_moves_no_cursor(api: Api, fake: FakeMatrixRoom) -> None:
    refusal = faults.refuse(403, "M_\x1b[31mX", "a\nb\x1b[2J\u202e" + "c" * 1000)
    fake.server.fail("GET", "*", refusal)
    with pytest.raises(Refused) as refused:
        await api.request("GET", "/")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 500


async def test_a_server_that_quotes_our_token_tells_it_to_nobody(
    api: Api, fake: FakeMatrixRoom
) -> None:
    logs.hide(fake.bot.access_token)
    fake.server.fail("GET", "*", faults.refuse(403, "M_X", f"Bearer {fake.bot.access_token}?"))
    with pytest.raises(Refused, match=r"Bearer \*\*\*\?"):
        await api.request("GET", "/")


async def test_a_name_that_no_server_can_have_is_out_of_reach() -> None:
    api = Api(f"http://{'a' * 64}.test")
    with pytest.raises(Unreachable, match="its address is none"):
        await api.request("GET", "/")
    await api.close()


@pytest.mark.parametrize(
    ("base_url", "environ", "proxy"),
    [
        ("https://h.test", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://h.test", {"https_proxy": "p:1"}, "http://p:1"),
        ("https://h.test", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("http://h.test", {"HTTPS_PROXY": "http://p:1"}, None),
        ("http://h.test", {"http_proxy": "http://p:1"}, "http://p:1"),
        ("http://127.0.0.1:8008", {"http_proxy": "http://p:1"}, None),  # never leaves the machine
        ("http://[::1]:8008", {"ALL_PROXY": "http://p:1"}, None),
        ("https://h.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "h.test"}, None),
        ("https://a.h.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".h.test"}, None),
        ("https://h.test:8448", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "h.test:8448"}, None),
        ("https://h.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "h.test:8448"}, "http://p:1"),
        ("https://h.test", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
    ],
)
def test_the_environment_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch, base_url: str, environ: dict[str, str], proxy: str | None
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert Api(base_url)._proxy == proxy
