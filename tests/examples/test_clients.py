"""The small clients of docs/how-to/other-languages.md, run against a daemon that dies on them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from fleetchatd.api.schemas import SCHEMAS
from tests.harness.child import Child
from tests.harness.daemon import Daemon
from tests.harness.documents import tested_blocks
from tests.harness.packaging import environment
from tests.harness.rooms import MakeDaemon
from tests.harness.synapse_install import REPOSITORY, cache_dir
from tests.harness.waiting import eventually

Start = Callable[..., "Client"]


class Client(Child):
    """A client that runs."""

    @property
    def said(self) -> list[str]:
        """The texts of the messages that it has handled, by printing them."""
        return [event["text"] for event in self._handled()]

    @property
    def done(self) -> int:
        """The number of the newest of them."""
        return max((event["seq"] for event in self._handled()), default=0)

    def _handled(self) -> list[dict[str, Any]]:
        *whole, _ = self.log_text().split("\n")
        return [json.loads(line) for line in whole if line.startswith("{")]

    async def until(self, words: str) -> None:
        async def shown() -> bool:
            return words in self.log_text()

        await eventually(f"{words!r} from {self.what}", shown)

    async def until_said(self, *texts: str) -> None:
        async def complete() -> bool:
            return self.said == list(texts)

        try:
            await eventually("the messages", complete)
        except AssertionError:
            raise self.failure(f"has handled {self.said}, not {texts}") from None


def type_in(folder: Path, *blocks: str, **env: str) -> str:
    """Type blocks of the page into a shell, in a clone of the repository; what it says."""
    npm = {"npm_config_cache": str(cache_dir() / "npm"), "npm_config_update_notifier": "false"}
    done = subprocess.run(
        ["bash", "-euc", "\n".join(blocks)],
        cwd=folder,
        env=environment() | npm | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{blocks}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clients as in a clone, the one in TypeScript built."""
    for needed in ("npm", "curl", "jq"):
        assert shutil.which(needed), f"{needed} is missing: apt-get install nodejs npm curl jq"
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(REPOSITORY / "examples" / "clients", folder / "examples" / "clients")
    type_in(folder, *tested_blocks("test_the_typescript_client_is_built_as_the_page_says"))
    return folder


@pytest.fixture(params=["curl/chat.sh", "python/chat.py", "typescript/dist/chat.js"])
def program(request: pytest.FixtureRequest, clone: Path) -> list[str]:
    """The words that start a client."""
    path = str(clone / "examples" / "clients" / request.param)
    return {".sh": [path], ".py": [sys.executable, path], ".js": ["node", path]}[path[-3:]]


@pytest_asyncio.fixture
async def start(program: list[str], tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the client: `start(daemon, "follow", "mos")`."""
    clients: list[Client] = []

    def begin(socket: Path, *words: str) -> Client:
        client = Client(" ".join(words), tmp_path / "client.log")
        client.spawn([*program, *words], os.environ | {"FLEETCHATD_SOCKET": str(socket)}, tmp_path)
        clients.append(client)
        return client

    yield begin
    for client in clients:
        if client.running:
            await client.end(signal.SIGKILL)


async def subscribed(daemon: Daemon) -> None:
    async def live() -> bool:
        return any(one["connected"] for one in await daemon.api.subscribers())

    await eventually("the client's subscription", live)


async def is_honest(daemon: Daemon, client: Client) -> None:
    """Nothing is acknowledged that was not handled."""
    (subscriber,) = await daemon.api.subscribers()
    assert subscriber["acked_seq"] <= client.done


# -- sending --------------------------------------------------------------------------------------


async def test_a_send_is_one_message_however_often_it_is_run(daemon: Daemon, start: Start) -> None:
    for _ in range(2):
        assert await start(daemon.socket, "send", "build-17", 'It\'s "green" &\n$done').ended() == 0
    (sent,) = await daemon.api.history()
    assert (sent["text"], sent["state"]) == ('It\'s "green" &\n$done', "delivered")
    other = start(daemon.socket, "send", "build-17", "It is red.")
    assert await other.ended() == 1
    await other.until("cannot send: idempotency-mismatch: ")


async def test_a_send_outlives_a_daemon_that_is_killed_under_it(
    make_daemon: MakeDaemon, start: Start
) -> None:
    daemon = make_daemon(delay_s=1)
    client = start(daemon.socket, "send", "build-17", "The build is green.")
    await client.until("trying again")
    await daemon.start()

    async def accepted() -> bool:
        return bool(await daemon.api.history())

    await eventually("the message accepted", accepted)
    await daemon.kill()
    await daemon.start()
    assert await client.ended() == 0
    (sent,) = await daemon.api.history()
    assert sent["state"] == "delivered"


async def test_a_full_disk_is_waited_out(tmp_path: Path, start: Start) -> None:
    problem = {"kind": "storage-full", "detail": "no room", "title": "x", "status": 507}
    answers = [(problem, 507), (problem, 507), ({"state": "delivered", "error": None}, 200)]

    async def answer(request: web.Request) -> web.Response:
        body, status = answers.pop(0)
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_post("/v1/messages", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "socket")).start()
    try:
        assert await start(tmp_path / "socket", "send", "build-17", "hello").ended() == 0
    finally:
        await runner.cleanup()
    assert answers == []


# -- following ------------------------------------------------------------------------------------


async def test_a_follower_loses_nothing_whoever_is_killed(
    make_daemon: MakeDaemon, start: Start
) -> None:
    daemon = make_daemon(echo=True)  # what is sent comes back as said by a human
    await daemon.start()
    client = start(daemon.socket, "follow", "mos")
    await subscribed(daemon)
    await daemon.api.send("one")
    await daemon.api.send("two")
    await client.until_said("one", "two")
    await daemon.kill()
    await client.until("trying again")
    await daemon.start()
    await daemon.api.send("three")
    await client.until_said("one", "two", "three")
    await is_honest(daemon, client)
    await client.end(signal.SIGKILL)
    await is_honest(daemon, client)
    seen = client.said
    await daemon.api.send("four", wait_s=10)
    await daemon.kill()
    await daemon.start()
    client = start(daemon.socket, "follow", "mos")
    await client.until("four")
    # Only what was handled and not yet acknowledged may come again.
    assert client.said[len(seen) :] in (["four"], ["three", "four"])
    assert client.said[: len(seen)] == seen

    async def acknowledged() -> bool:
        (subscriber,) = await daemon.api.subscribers()
        return bool(subscriber["lag"] == 0)

    await eventually("all acknowledged", acknowledged)
    await is_honest(daemon, client)


async def test_a_follower_ends_when_it_is_told_to_and_frees_its_name(
    daemon: Daemon, start: Start
) -> None:
    client = start(daemon.socket, "follow", "mos")
    await subscribed(daemon)
    assert await client.end(signal.SIGTERM, 10) == 0

    async def free() -> bool:
        return not any(one["connected"] for one in await daemon.api.subscribers())

    await eventually("the name free", free)


async def test_a_follower_waits_for_its_name_and_gives_it_up_to_who_takes_over(
    daemon: Daemon, start: Start
) -> None:
    async with daemon.api.events(subscriber="mos"):
        client = start(daemon.socket, "follow", "mos")
        await client.until("subscriber-busy")
    await subscribed(daemon)
    async with daemon.api.events(subscriber="mos", takeover=True):
        assert await client.ended() == 0


async def test_a_follower_of_an_impossible_name_says_why(daemon: Daemon, start: Start) -> None:
    client = start(daemon.socket, "follow", "m%20s")
    assert await client.ended() == 1
    await client.until("cannot follow: ")


# -- the page -------------------------------------------------------------------------------------


def test_the_typescript_client_is_built_as_the_page_says(clone: Path) -> None:
    assert (clone / "examples" / "clients" / "typescript" / "dist" / "chat.js").exists()


async def test_each_client_is_used_as_the_page_says(
    make_daemon: MakeDaemon, clone: Path, tmp_path: Path
) -> None:
    daemon = make_daemon(echo=True)
    await daemon.start()
    env = os.environ | {"FLEETCHATD_SOCKET": str(daemon.socket)}
    for block in tested_blocks("test_each_client_is_used_as_the_page_says"):
        *first, follow = block.splitlines()
        client = Client(follow, tmp_path / "client.log")
        client.spawn(["bash", "-c", f"exec {follow}"], env, clone)
        await subscribed(daemon)
        type_in(clone, *first, FLEETCHATD_SOCKET=str(daemon.socket))
        await client.until_said("The build is **green**.")
        assert await client.end(signal.SIGTERM) == 0
        client.log.unlink()


def test_the_types_of_the_typescript_client_are_those_of_the_api() -> None:
    source = (REPOSITORY / "examples" / "clients" / "typescript" / "src" / "chat.ts").read_text()
    states = SCHEMAS["Message"]["properties"]["state"]["enum"]
    union = " | ".join(f'"{state}"' for state in states if state)
    assert f"type State = {union};" in source
    for name in ("Message", "Problem"):
        (fields,) = re.findall(rf"type {name} = {{(.*?)}};", source)
        used = set(re.findall(r"(\w+):", fields))
        assert used <= set(SCHEMAS[name]["properties"])


def test_the_daemon_describes_itself_as_the_page_says(daemon: Daemon, tmp_path: Path) -> None:
    (block,) = tested_blocks("test_the_daemon_describes_itself_as_the_page_says")
    described = json.loads(type_in(tmp_path, block, FLEETCHATD_SOCKET=str(daemon.socket)))
    assert "/v1/messages" in described["paths"]
