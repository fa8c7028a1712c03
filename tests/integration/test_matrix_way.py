"""The way to the homeserver: its name, its certificate, and a proxy between."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.fakes.homeserver import FakeHomeserver, FakeMatrixRoom
from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.tls import Authority, ConnectProxy, tls_in_front_of

NAME = "matrix.example.test"


@dataclass(frozen=True)
class Https:
    """A scripted homeserver behind TLS, under `NAME` and `localhost`."""

    room: FakeMatrixRoom
    port: int
    ca: Path

    @property
    def server(self) -> FakeHomeserver:
        return self.room.server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, ssl.SSLContext]:
    made = Authority(tmp_path_factory.mktemp("ca"), (NAME, "localhost"))
    return made, made.make()


@pytest_asyncio.fixture
async def https(
    fake: FakeMatrixRoom, authority: tuple[Authority, ssl.SSLContext]
) -> AsyncIterator[Https]:
    port = urlsplit(fake.server.base_url).port
    assert port is not None
    async with tls_in_front_of(port, authority[1]) as tls_port:
        yield Https(fake, tls_port, authority[0].certificate)


async def delivers(daemon: Daemon, room: FakeMatrixRoom, text: str) -> None:
    sent = await daemon.api.send(text, wait_s=40)
    assert sent["state"] == "delivered", await daemon.api.health()
    assert (await room.said_by_bot())[-1] == text


async def degraded(daemon: Daemon, detail: str) -> None:
    health = await daemon.api.wait_health(
        lambda health: re.search(detail, health["connector"]["detail"] or "")
    )
    assert health["status"] == "degraded"


async def test_a_private_authority_is_trusted_once_it_is_named(
    https: Https, make_daemon: MakeDaemon
) -> None:
    url = f"https://localhost:{https.port}"
    daemon = make_daemon(https.room, homeserver_url=url)
    await daemon.start()
    await degraded(daemon, r"certificate is not trusted.*SSL_CERT_FILE")
    waiting = await daemon.api.send("waits")
    await daemon.terminate()
    assert https.server.calls == []
    daemon.env["SSL_CERT_FILE"] = str(https.ca)
    await daemon.start()
    assert (await daemon.api.final(waiting["id"]))["state"] == "delivered"


async def test_a_certificate_for_another_name_is_refused(
    https: Https, make_daemon: MakeDaemon
) -> None:
    url = f"https://127.0.0.1:{https.port}"
    daemon = make_daemon(https.room, homeserver_url=url, env={"SSL_CERT_FILE": str(https.ca)})
    await daemon.start()
    await degraded(daemon, "certificate is not trusted.*127.0.0.1.*; use the name that it is made")


async def test_a_bare_name_is_looked_up(https: Https, make_daemon: MakeDaemon) -> None:
    name = f"localhost:{https.port}"
    server = https.server
    daemon = make_daemon(https.room, homeserver_url=name, env={"SSL_CERT_FILE": str(https.ca)})
    useless: list[object] = [{"m.homeserver": {"base_url": "ftp://x"}}, {"m.homeserver": 7}, []]
    for document in useless:
        server.well_known = document
        if not daemon.running:
            await daemon.start()
        await degraded(daemon, "names no base_url|no JSON object")
    server.well_known = {"m.homeserver": {"base_url": server.base_url}}
    await delivers(daemon, https.room, "found")
    await daemon.terminate()
    server.well_known = None  # 404: the name itself is the homeserver
    await daemon.start()
    await delivers(daemon, https.room, "found without a document")
    lookups = server.calls_to("GET", "/.well-known/matrix/client")
    assert {call.token for call in lookups} == {None}


async def test_a_proxy_is_used_for_https_and_not_for_what_is_excepted(
    https: Https, make_daemon: MakeDaemon
) -> None:
    async with ConnectProxy(https.port).running() as proxy:
        env = {
            "SSL_CERT_FILE": str(https.ca),
            "HTTPS_PROXY": f"http://ann:Geheim99@127.0.0.1:{proxy.port}",
            "NO_PROXY": f"elsewhere.test,localhost:{https.port}",
        }
        daemon = make_daemon(https.room, homeserver_url=f"https://{NAME}", env=env)
        await daemon.start()
        await delivers(daemon, https.room, "through the proxy")
        assert all(line.startswith(f"CONNECT {NAME}:443 ") for line in proxy.asked)
        assert all("Proxy-Authorization: Basic" in line for line in proxy.asked)
        proxy.refuse = "407 Proxy Authentication Required"
        await daemon.restart()
        await degraded(daemon, "the proxy answered 407")
        asked = len(proxy.asked)
        settings = https.room.settings | {"homeserver_url": f"https://localhost:{https.port}"}
        daemon.reconfigure("matrix", **settings)
        assert (await daemon.api.reload()).status == 200
        await delivers(daemon, https.room, "past the proxy")
        assert len(proxy.asked) <= asked + 1
        assert "Geheim99" not in daemon.log_text
        assert "Geheim99" not in str(await daemon.api.health())
    daemon.reconfigure("matrix", **settings | {"homeserver_url": f"https://{NAME}"})
    assert (await daemon.api.reload()).status == 200
    await degraded(daemon, "cannot reach the homeserver")
    assert "Geheim99" not in daemon.log_text


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://[bad", "127.0.0.1:9", "junk"])
async def test_a_proxy_that_does_not_do_stops_nothing_but_the_way(
    fake: FakeMatrixRoom, make_daemon: MakeDaemon, proxy: str
) -> None:
    daemon = make_daemon(fake, homeserver_url=f"https://{NAME}", env={"HTTPS_PROXY": proxy})
    await daemon.start()
    await degraded(daemon, "cannot reach the homeserver")
    assert (await daemon.api.send("waits"))["state"] == "queued"
    assert "Traceback" not in daemon.log_text
