"""A newcomer who types what the documents say: a home of their own, and terminals."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from tests.harness.api import Api
from tests.harness.child import Child
from tests.harness.tmux import PROGRAMS, Terminal, Tmux
from tests.harness.waiting import eventually

FLEET = ("tmux", "-L", "mosaic-fleet")
LONGEST_S = 60.0


class Newcomer:
    """Somebody whose home is empty, with fleetchatd installed, and whose tmux nobody shares.

    Attributes:
        home: `~`, and where they type.
        env: all that their shell finds in its environment.
        instead: what a page calls, for example, `matrix.example.org` -> what it is here. Only what
            stands here is changed in what a page says.
        api: the socket of a daemon at its default place.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        runtime = home / "run"
        runtime.mkdir(mode=0o700)
        self.env = {
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "USER": "ann",
            "LANG": "C.UTF-8",
            "SHELL": "/bin/sh",
            "TMUX_TMPDIR": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
        }
        self.instead: dict[str, str] = {}
        self.api = Api(runtime / "fleetchatd" / "fleetchatd.sock")
        self._screen = Tmux(home / "screen")
        self._running: list[Child] = []
        self._terminals = 0

    async def type(self, *blocks: str, code: int = 0, stdin: str = "") -> str:
        """Type blocks into one shell, wait for the end, and return what was written.

        Raises:
            AssertionError: it ended with another exit code.
        """
        process = await asyncio.create_subprocess_exec(
            *self._shell(*blocks),
            cwd=self.home,
            env=self.env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(LONGEST_S):
            said, _ = await process.communicate(stdin.encode())
        assert process.returncode == code, f"{self.typed(*blocks)}\n{said.decode()}"
        return said.decode()

    def leave_running(self, *blocks: str) -> Child:
        """Type blocks into a shell of their own, of which the last does not end."""
        child = Child(blocks[-1].split()[0], self.home / f"running-{len(self._running)}.log")
        child.spawn(self._shell(*blocks), self.env, self.home)
        self._running.append(child)
        return child

    async def terminal(self, *blocks: str, env: Mapping[str, str] | None = None) -> Terminal:
        """A terminal to look at, in which the blocks have been typed."""
        variables = {**self.env, **(env or {})}
        # `env -u`: the newcomer's terminal is no tmux, whatever shows it to the test.
        shell = ("env", "-u", "TMUX", "-u", "TMUX_PANE", "PS1=$ ", "sh")
        name = f"terminal{self._terminals}"
        self._terminals += 1
        pane = await self._screen.session(name, *shell, columns=120, lines=50, env=variables)
        await pane.submit(f"cd {self.home}")
        for line in self.typed(*blocks).splitlines():
            await pane.submit(line)
        return pane

    def typed(self, *blocks: str) -> str:
        """What is typed in place of what the page says."""
        text = "\n".join(blocks)
        for said, meant in self.instead.items():
            text = text.replace(said, meant)
        return text

    async def until_well(self) -> None:
        """Wait until the daemon that was left running says that it is well."""

        async def listening() -> bool:
            ended = [child for child in self._running if not child.running]
            assert not ended, ended[0].failure("ended")
            return self.api.socket.exists()

        await eventually("a daemon's socket", listening)
        await self.api.wait_health(lambda health: health["status"] == "ok")

    async def writes(self, child: Child, words: str) -> None:
        """Wait until a program that was left running has written something."""

        async def written() -> bool:
            return words in child.log_text()

        await eventually(f"{words!r} from {child.what}", written)

    async def ends(self, child: Child) -> None:
        """Wait until a program that was left running has ended well."""
        self._running.remove(child)
        assert await child.ended() == 0, child.failure("failed")

    async def stop(self, child: Child) -> str:
        """Press Ctrl-C where a program was left running; what it has written."""
        self._running.remove(child)
        os.killpg(child.pid, signal.SIGINT)
        await child.ended()
        return child.log_text()

    async def close(self) -> None:
        """End all that was started."""
        for child in self._running:
            if child.running:
                os.killpg(child.pid, signal.SIGTERM)  # what it has started, too
                await child.ended()
        await self._screen.close()
        fleet = await asyncio.create_subprocess_exec(
            *FLEET, "kill-server", env=self.env, stderr=asyncio.subprocess.DEVNULL
        )
        await fleet.wait()

    def _shell(self, *blocks: str) -> list[str]:
        return [shutil.which("sh") or "/bin/sh", "-euc", self.typed(*blocks)]
