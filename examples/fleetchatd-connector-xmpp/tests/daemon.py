"""A fleetchatd of the test's own, spoken to with the command that everybody uses."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

from prosody import HOST, PASSWORD, ROOM, Prosody

PROGRAMS = Path(sys.executable).parent


class Daemon:
    """One that can be killed, and started again on the same state."""

    def __init__(self, folder: Path, server: Prosody, **settings: Any) -> None:
        block = {"jid": f"mos@{HOST}", "room": ROOM, "server": server.address, **settings}
        connector = {"kind": "xmpp", "xmpp": block}
        agents = [{"name": "mos", "runtime": "claude", "class": "orchestrator"}]
        roster = {"version": 1, "transport": "tmux", "agents": agents, "connector": connector}
        self.roster = folder / "roster.yaml"
        self.roster.write_text(json.dumps(roster))  # which is YAML
        places = {"roster": self.roster, "socket": folder / "socket", "state-dir": folder / "state"}
        self._options = [f"--{name}={place}" for name, place in places.items()]
        self._socket = f"--socket={folder / 'socket'}"
        secrets = {"XMPP_PASSWORD": PASSWORD, "SSL_CERT_FILE": str(server.certificate)}
        self._env = os.environ | secrets
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; from here on it takes messages, whatever the room is like."""
        self._process = await asyncio.create_subprocess_exec(
            PROGRAMS / "fleetchatd", *self._options, env=self._env
        )
        await self.until(lambda code, said: code != 69, "health")

    async def kill(self) -> None:
        """Kill it where it stands, if it runs."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def check(self) -> tuple[int, str]:
        """`fleetchatd --check`."""
        return await self._run("fleetchatd", *self._options, "--check")

    async def ask(self, *words: str) -> tuple[int, str]:
        """`fleetchat WORDS`: its exit code, and what it printed."""
        return await self._run("fleetchat", self._socket, *words)

    async def until(self, true: Any, *words: str) -> str:
        """Ask until it is true of the exit code and the words."""
        async with asyncio.timeout(20):
            while not true(*(answer := await self.ask(*words))):
                await asyncio.sleep(0.05)
        return answer[1]

    async def texts(self, count: int) -> list[str]:
        """The texts of the next `count` messages, acknowledged."""
        texts: list[str] = []
        async with asyncio.timeout(20):
            while len(texts) < count:
                code, lines = await self.ask("read", "--name=mos", "--wait=5", "--json")
                assert code == 0
                texts += [json.loads(line)["text"] for line in lines.splitlines()]
        return texts

    async def set_up(self, *words: str, stdin: str = "") -> tuple[int, str]:
        """`fleetchat WORDS` without any secret in the environment."""
        self._env.pop("XMPP_PASSWORD", None)
        places = [option for option in self._options if not option.startswith("--socket")]
        return await self._run("fleetchat", *words, *places, stdin=stdin)

    async def _run(self, program: str, *words: str, stdin: str = "") -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            PROGRAMS / program, *words, env=self._env, stdin=PIPE, stdout=PIPE
        )
        said, _ = await process.communicate(stdin.encode())
        return process.returncode or 0, said.decode()
