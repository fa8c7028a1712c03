"""A private tmux server, and its panes as a person uses them: keys, pastes, a look."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.harness.child import Child
from tests.harness.waiting import eventually

_LONGEST_SOCKET_PATH_BYTES = 107  # sun_path of unix(7), less its final zero

PROGRAMS = Path(sys.executable).parent
"""Where `fleetchat` and `fleetchatd` are; the first place on the PATH of every pane."""


class Tmux:
    """One tmux server of a test's own: no configuration, and a socket in the test's folder.

    It is a child in the foreground, so that it never outlives the test run; like any other it ends
    with its last session. A server that the code under test starts on the same socket is treated
    the same, and ended by `close`.

    Attributes:
        socket_name: for `tmux -L`, together with `env`.
        socket: for `tmux -S`.
        env: what a program needs in its environment to find the server by `socket_name`.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.socket_name = f"fleetchat-test-{secrets.token_hex(4)}"
        self.socket = directory / f"tmux-{os.getuid()}" / self.socket_name
        assert len(os.fsencode(self.socket)) <= _LONGEST_SOCKET_PATH_BYTES, "use a shorter path"
        self.env = {"TMUX_TMPDIR": str(directory)}
        self._child = Child("tmux", directory / "tmux.log")

    async def session(
        self,
        name: str,
        *command: str,
        columns: int = 80,
        lines: int = 24,
        history: int = 50_000,
        env: Mapping[str, str] | None = None,
    ) -> Terminal:
        """Make a session whose pane runs `command`, a list of words, else a plain `sh`.

        The server is started if there is none. `history` is how many lines scrolled away it keeps.
        """
        if not await self.is_running():
            self._child.spawn(self.command("-D"), self._environment(), self.directory)
            await eventually("tmux answering", self.is_running)
        variables = [word for pair in (env or {}).items() for word in ("-e", "=".join(pair))]
        size = ("-x", str(columns), "-y", str(lines))
        # The default would be a login shell, which sets a PATH of its own.
        program = shlex.join(command) if command else "sh"
        pane = await self.run(
            *("set-option", "-g", "history-limit", str(history), ";"),
            *("new-session", "-d", "-P", "-F", "#{pane_id}", "-s", name, *size, *variables),
            *(program, ";", "set-option", "-s", "exit-empty", "on"),
        )
        return Terminal(self, pane.strip())

    async def run(self, *words: str, stdin: bytes = b"") -> str:
        """Have the server do something, and give the output.

        Raises:
            AssertionError: it refused.
        """
        code, out, errors = await self._ask(*words, stdin=stdin)
        assert code == 0, f"tmux {shlex.join(words)}: {errors or out}"
        return out

    async def is_running(self) -> bool:
        return (await self._ask("list-sessions"))[0] == 0

    async def pid(self) -> int:
        """The server's process id, whoever started it."""
        return int(await self.run("display-message", "-p", "#{pid}"))

    async def panes(self, session: str | None = None) -> list[Terminal]:
        """The panes of a session, named exactly, or all there are."""
        which = ("-a",) if session is None else ("-s", "-t", f"={session}")
        found = await self.run("list-panes", *which, "-F", "#{pane_id}")
        return [Terminal(self, pane) for pane in found.split()]

    async def kill(self) -> None:
        """Kill the server where it stands (SIGKILL), and with it all that runs in it."""
        pid = await self.pid()
        os.kill(pid, signal.SIGKILL)
        if self._child.running and self._child.pid == pid:
            await self._child.ended()
        await eventually("tmux gone", self._is_gone)

    async def close(self) -> None:
        """End the server, whatever state it is in; nothing when there is none."""
        if await self.is_running():
            await self.kill()
        if self._child.running:  # it never answered
            await self._child.end(signal.SIGKILL)

    def command(self, *words: str) -> list[str]:
        """The command line that has the server do something."""
        return ["tmux", "-u", "-L", self.socket_name, "-f", os.devnull, *words]

    async def _is_gone(self) -> bool:
        return not await self.is_running()

    async def _ask(self, *words: str, stdin: bytes = b"") -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            *self.command(*words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment(),
        )
        out, errors = await process.communicate(stdin)
        return process.returncode, out.decode(errors="replace"), errors.decode(errors="replace")

    def _environment(self) -> dict[str, str]:
        path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
        bare = {"PATH": path, "HOME": str(self.directory), "LANG": "C.UTF-8", "SHELL": "/bin/sh"}
        return bare | self.env


class Terminal:
    """One pane of a server; `id` is tmux's `%N`."""

    def __init__(self, tmux: Tmux, pane_id: str) -> None:
        self.tmux = tmux
        self.id = pane_id

    # -- hands ---------------------------------------------------------------------------------

    async def type(self, text: str) -> None:
        """Type `text` as it is, without Enter."""
        # tmux takes a word that ends with a semicolon for the end of its command.
        literal = text[:-1] + "\\;" if text.endswith(";") else text
        await self._run("send-keys", "-l", "--", literal)

    async def keys(self, *names: str) -> None:
        """Press keys by tmux's names: `Enter`, `C-c`, `M-Enter`, `Up`."""
        await self._run("send-keys", "--", *names)

    async def submit(self, text: str) -> None:
        """Type a line and press Enter."""
        await self.type(text)
        await self.keys("Enter")

    async def paste(self, data: bytes | str, *, bracketed: bool = False) -> None:
        """Paste bytes as they are; `bracketed`: between brackets, if the program asked for them."""
        raw = data.encode() if isinstance(data, str) else data
        name = f"test-{secrets.token_hex(4)}"
        await self.tmux.run("load-buffer", "-b", name, "-", stdin=raw)
        flags = "-p -r -d" if bracketed else "-r -d"
        # A paste into a dead pane (`remain-on-exit`) ends the whole server (3.3a).
        paste = f"paste-buffer {flags} -b {name} -t {self.id}"
        await self._run("if-shell", "-F", "#{pane_dead}", f"delete-buffer -b {name}", paste)

    async def resize(self, columns: int, lines: int = 24) -> None:
        """Give its window another size, as a person's terminal would."""
        await self._run("resize-window", "-x", str(columns), "-y", str(lines))

    async def clear_history(self) -> None:
        await self._run("clear-history")

    async def respawn(self, *command: str) -> None:
        """End what runs in it, and run `command` there instead."""
        await self._run("respawn-pane", "-k", shlex.join(command))

    async def kill(self) -> None:
        """Close the pane; its program gets SIGHUP."""
        await self._run("kill-pane")

    async def kill_session(self) -> None:
        await self._run("kill-session")

    # -- eyes ----------------------------------------------------------------------------------

    async def capture(self, *, joined: bool = True, history: bool = True, sgr: bool = False) -> str:
        """What the pane shows.

        Args:
            joined: wrapped lines as one, which keeps blanks at their ends too.
            history: what has scrolled away as well.
            sgr: with the escape sequences for colours and the like.
        """
        flags = [*(["-J"] if joined else []), *(["-S", "-"] if history else [])]
        return await self._run("capture-pane", "-p", *flags, *(["-e"] if sgr else []))

    async def shows(self, text: str, *, times: int = 1, timeout_s: float = 20.0) -> str:
        """Wait until it shows `text` (in one line), and return all that it shows then."""
        many = "" if times == 1 else f" {times} times"
        return await self.until(
            f"{text!r}{many} in the pane",
            lambda shown: shown.count(text) >= times,
            timeout_s=timeout_s,
        )

    async def until(
        self, what: str, holds: Callable[[str], bool], *, timeout_s: float = 20.0
    ) -> str:
        """Wait until `holds` of all that it shows (joined, with history), and return that.

        Raises:
            AssertionError: it did not come; the text shows the end of what was there.
        """
        shown = ""

        async def probe() -> str | None:
            nonlocal shown
            shown = await self.capture()
            return shown if holds(shown) else None

        with suppress(AssertionError):
            return await eventually(what, probe, timeout_s=timeout_s)
        tail = "\n".join(shown.rstrip().splitlines()[-30:])
        raise AssertionError(f"{what}: not within {timeout_s:g} s; the pane shows:\n{tail}")

    async def dies(self) -> None:
        """Wait until its program has ended and the pane remains (`remain-on-exit`).

        Not until it says "Pane is dead": tmux draws that once it has collected the program's
        exit status, and 3.3a sometimes never does (the program stays a zombie).
        """

        async def dead() -> bool:
            return await self.ask("#{pane_dead}") == "1"

        await eventually(f"the pane {self.id} dead", dead)

    async def ask(self, what: str) -> str:
        """A format of tmux's for this pane: `#{pane_pid}`, `#{@option}`, `#{cursor_x}`."""
        return (await self._run("display-message", "-p", what)).removesuffix("\n")

    async def _run(self, command: str, *words: str) -> str:
        return await self.tmux.run(command, "-t", self.id, *words)
