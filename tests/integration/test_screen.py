"""A program other than the console in the operator's pane, as the daemon sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest_asyncio

from fleetchatd.connectors.tmux.reader import look_command, parse_look, read
from fleetchatd.tmux.control import ControlClient
from fleetchatd.tmux.server import Server
from tests.harness.daemon import Daemon
from tests.harness.tmux import Terminal, Tmux
from tests.harness.typed import running


@pytest_asyncio.fixture
async def tmux() -> AsyncIterator[Tmux]:
    with TemporaryDirectory(prefix="fleetchat-") as folder:
        made = Tmux(Path(folder))
        yield made
        await made.close()


@pytest_asyncio.fixture
async def pane(tmux: Tmux) -> Terminal:
    return await tmux.session("operator", "cat", columns=60)


@pytest_asyncio.fixture
async def daemon(tmux: Tmux, pane: Terminal, tmp_path: Path) -> AsyncIterator[Daemon]:
    made = Daemon(tmp_path, kind="tmux", settings={"socket_name": tmux.socket_name}, env=tmux.env)
    await made.start()
    await made.api.wait_health(lambda health: health["connector"]["receiving"])
    yield made
    await made.close()


async def heard(daemon: Daemon, number: int) -> list[dict[str, Any]]:
    async with daemon.api.events(after=0, types="message") as stream:
        return await stream.take(number)


async def me(pane: Terminal) -> str:
    return (await pane.ask("#{host_short}")) + ":mos"


async def test_a_line_for_the_orchestrator_becomes_an_event_once(
    daemon: Daemon, pane: Terminal
) -> None:
    mos = await me(pane)
    await pane.submit(f"[web1:builder~b7 -> {mos}#deploy class=human] {'it is built ' * 20}.")
    await pane.shows("is built .", times=2)
    await pane.submit(f"[web1:builder -> {mos}] no id")
    await pane.shows("no id", times=2)
    await pane.submit("[web1:builder~b8 -> web1:somebody.else] not for us")
    await pane.shows("not for us", times=2)
    await pane.submit(f"[web1:builder~b9 -> {mos} class=terminal-log] the end")
    first, second, third = await heard(daemon, 3)
    assert (first["id"], first["text"]) == ("web1:builder~b7", "it is built " * 20 + ".")
    assert (first["sender"], first["sender_name"]) == ("web1:builder", "builder")
    # Whatever is shown in a pane can claim to be a human.
    assert (first["thread_id"], first["class"]) == ("deploy", "actionable")
    assert (second["text"], second["class"]) == ("no id", "actionable")
    assert (third["text"], third["class"]) == ("the end", "terminal-log")


async def test_what_is_said_while_the_daemon_is_down_arrives_once(
    daemon: Daemon, pane: Terminal
) -> None:
    mos = await me(pane)
    await pane.submit(f"[web1:builder -> {mos}] before")
    await heard(daemon, 1)
    await daemon.kill()
    for number in range(12):
        await pane.submit(f"[web1:builder -> {mos}] missed {number}.")
        await pane.shows(f"missed {number}.", times=2)  # else the echo of the next falls into it
    await daemon.start()
    await pane.submit(f"[web1:builder -> {mos}] after")
    texts = [event["text"] for event in await heard(daemon, 14)]
    assert texts == ["before", *(f"missed {number}." for number in range(12)), "after"]


async def test_health_says_what_cannot_be_promised_and_a_shell_gets_nothing(
    daemon: Daemon, pane: Terminal
) -> None:
    health = await daemon.api.health()
    assert health["status"] == "ok"
    assert "not the console" in health["connector"]["detail"]
    assert (await daemon.api.send("hello", wait_s=10))["state"] == "delivered"
    await pane.respawn("sh")
    await daemon.api.wait_health(lambda health: health["status"] == "degraded")
    refused = await daemon.api.send("rm -rf nothing", wait_s=10)
    assert refused["state"] == "failed"
    assert "only a shell" in refused["error"]
    assert "rm" not in await pane.capture()


async def test_what_is_said_in_a_pane_is_read_off_it_once(tmux: Tmux) -> None:
    pane = await tmux.session("agent", "cat", columns=20)
    await running(pane, "cat")
    text = "a line that wraps, 日本語 ünd ~ "
    said = f"[web1:bot -> web1:mos#deploy] {text}"
    position: str | None = None
    texts: list[str] = []
    client = await ControlClient.attach(Server(str(tmux.socket)), "agent", lambda _: None)

    async def look() -> None:
        nonlocal position
        seen = parse_look(pane.id, await client.run(look_command(pane.id)))
        assert seen is not None
        reading = read(position, seen, "web1:mos")
        position = reading.position
        texts.extend(line.text for line in reading.lines)

    try:
        await look()
        for number in range(4):
            await pane.type(f"{said}{number}")
            await pane.shows(f"{said}{number}")
            await look()  # it is still being typed
            await pane.keys("Enter")
            await pane.shows(f"{said}{number}", times=2)
            await look()
            await (pane.resize(100) if number == 1 else pane.clear_history())
            await look()
    finally:
        await client.close()
    assert texts == [f"{text}{number}" for number in range(4)]
