"""An orchestrator and an operator: the installed daemon on the tmux kind, and a console."""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from fleetchatd.tmux import badge
from fleetchatd.tmux.badge import Badge
from fleetchatd.tmux.spool import Spool
from tests.harness.api import Json
from tests.harness.daemon import Daemon
from tests.harness.tmux import PROGRAMS, Terminal, Tmux
from tests.harness.waiting import eventually

SESSION = "operator"
_THEIRS = re.compile(
    r"^(?:[\d-]+ )?\d\d:\d\d mos(?: #(?P<tag>\S+))?\n(?P<text>(?:(?:  .*)?\n)+)", re.MULTILINE
)


class Fleet:
    """An orchestrator, who has the socket, and an operator, who has a pane.

    Attributes:
        daemon: not started yet.
        pane: where the operator sits, once `ready`.
    """

    pane: Terminal

    def __init__(self, tmux: Tmux, directory: Path, **settings: Any) -> None:
        self.tmux = tmux
        self.settings = {"socket_name": tmux.socket_name, **settings}
        self.session: str = self.settings.get("session", SESSION)
        self.daemon = Daemon(directory, kind="tmux", settings=self.settings, env=tmux.env)
        self.api = self.daemon.api
        self.spool = Spool(self.daemon.state_dir)
        self._heard_seq = 0

    @property
    def console(self) -> list[str]:
        """The command that starts a console by hand."""
        return ["fleetchat", "console", "--state-dir", str(self.daemon.state_dir)]

    async def start(self) -> None:
        """Start the daemon, and wait until operator and orchestrator can talk."""
        await self.daemon.start()
        await self.ready()

    async def ready(self) -> Json:
        """Wait until health is `ok`; `pane` is where the console is then."""
        health = await self.api.wait_health(lambda health: health["status"] == "ok")
        for pane in await self.tmux.panes(self.session):
            if await self.badge(pane) is not None:
                self.pane = pane
        return health

    async def trouble(self, *words: str) -> Json:
        """Wait until health is `degraded` or `down`, and says all of these words."""

        def told(health: Json) -> bool:
            detail = health["connector"]["detail"] or ""
            return health["status"] != "ok" and all(word in detail for word in words)

        return await self.api.wait_health(told)

    async def badge(self, pane: Terminal | None = None) -> Badge | None:
        """The badge of the console that lives in a pane; None if there is none."""
        worn = badge.parse(await (pane or self.pane).ask(f"#{{{badge.OPTION}}}"))
        return worn if worn is not None and worn.alive else None

    async def console_pid(self) -> int:
        worn = await self.badge()
        assert worn is not None, "no console is alive in the pane"
        return worn.pid

    # -- what is said --------------------------------------------------------------------------

    async def enter(self, text: str) -> None:
        """Say something at the console as a person would: what is long by a paste."""
        if "\n" in text or len(text) > 10_000:
            await self.pane.paste(text, bracketed=True)
            await self.pane.keys("Enter")
        else:
            await self.pane.submit(text)

    async def heard(self, *texts: str, timeout_s: float = 20.0) -> list[Json]:
        """Wait until the orchestrator has heard these, in this order, and nothing else.

        What an earlier call has seen does not count.
        """

        async def probe() -> list[Json] | None:
            events = await self.api.pending(after=self._heard_seq, types="message")
            return events if len(events) >= len(texts) else None

        events = await eventually(f"{len(texts)} messages heard", probe, timeout_s=timeout_s)
        assert [event["text"] for event in events] == list(texts)
        self._heard_seq = max([self._heard_seq, *(event["seq"] for event in events)])
        return events

    async def say(self, text: str, **fields: Any) -> Json:
        """Say something to the operator; it is confirmed by the console when this returns."""
        message = await self.api.send(text, wait_s=20, **fields)
        assert message["state"] == "delivered", message
        return message

    async def send_all(self, texts: Sequence[str]) -> list[Json]:
        """Send many messages over one connection, one after another."""
        answers = []
        connector = aiohttp.UnixConnector(str(self.daemon.socket))
        async with aiohttp.ClientSession("http://fleetchat", connector=connector) as session:
            for text in texts:
                async with session.post("/v1/messages", json={"text": text}) as answer:
                    assert answer.status == 202, await answer.text()
                    answers.append(await answer.json())
        return answers

    async def client(self, *words: str, stdin: str = "") -> str:
        """Run `fleetchat` as the orchestrator does, and give its output."""
        process = await asyncio.create_subprocess_exec(
            str(PROGRAMS / "fleetchat"),
            *("--socket", str(self.daemon.socket), *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate(stdin.encode())
        assert process.returncode == 0, errors.decode()
        return out.decode()

    async def final(self, *messages: Json) -> list[str]:
        """Wait for the ends of messages."""
        return [(await self.api.final(one["id"]))["state"] for one in messages]

    # -- what is seen --------------------------------------------------------------------------

    async def seen(self, pane: Terminal | None = None) -> list[str]:
        """What the orchestrator said, as the operator sees it, oldest first."""
        shown = await (pane or self.pane).capture()
        return [textwrap.dedent(one["text"]).strip("\n") for one in _THEIRS.finditer(shown)]

    async def until(self, what: str, holds: Callable[[list[str]], bool]) -> list[str]:
        """Wait until it `holds` of what is seen."""

        async def probe() -> list[str] | None:
            seen = await self.seen()
            return seen if holds(seen) else None

        return await eventually(what, probe)

    async def close(self) -> None:
        await self.daemon.close()
        await self.tmux.close()
