"""The programs of the client as children that die: `fleetchat subscribe`, `fleetchat send`."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.harness.child import Child
from tests.harness.waiting import eventually

Json = dict[str, Any]

FLEETCHAT = str(Path(sys.executable).with_name("fleetchat"))
NO_DAEMON = 69
REFUSALS = ("superseded", "was deleted", "cannot read as")
_INTO_FILE = 'out=$1; shift; exec "$@" >"$out"'


class Subscriber:
    """`fleetchat subscribe --name NAME --json`, started again whenever it has ended.

    Each of its lives writes a file of its own: a line that a SIGKILL cut short was not
    acknowledged, and nothing is appended to it.

    Attributes:
        name: the subscriber's.
        written_again: how many events another life had written out before (`events` counts).
    """

    def __init__(self, socket: Path, directory: Path, name: str = "mos") -> None:
        self.name = name
        self.written_again = 0
        self._socket = socket
        self._directory = directory
        self._lives = itertools.count()
        self._read: dict[Path, list[Json]] = {}
        self._offsets: dict[Path, int] = {}
        directory.mkdir()
        self._child = Child("fleetchat subscribe", directory / "stderr.log")

    @property
    def log_text(self) -> str:
        return self._child.log_text()

    async def keep_running(self) -> None:
        """Start it again whenever it has ended, until cancelled.

        Raises:
            AssertionError: it ended in a way that it should not.
        """
        try:
            while True:
                if not self._child.running:
                    self._complain()
                    self._spawn()
                await asyncio.sleep(0.05)
        finally:
            if self._child.running:
                await self.kill()

    async def kill(self) -> None:
        """Kill it where it stands (SIGKILL); nothing if it has just ended."""
        if self._child.running:
            await self._child.end(signal.SIGKILL)

    def _complain(self) -> None:
        """It may end when it finds no daemon, or one that dies under its first request."""
        expected = (None, -signal.SIGKILL, NO_DAEMON, 1)
        last = self.log_text.rpartition("fleetchat: ")[2]
        refused = self._child.returncode == 1 and any(word in last for word in REFUSALS)
        if refused or self._child.returncode not in expected:
            raise self._child.failure(f"ended with {self._child.returncode}")

    def _spawn(self) -> None:
        out = self._directory / f"life-{next(self._lives):03}.jsonl"
        command = [FLEETCHAT, "--socket", str(self._socket), "subscribe", "--name", self.name]
        shell = ["/bin/sh", "-c", _INTO_FILE, "sh", str(out), *command, "--json"]
        self._child.spawn(shell, {"PATH": os.environ["PATH"]}, self._directory)

    def events(self) -> list[Json]:
        """The events that were written out, each once, in the order of their `seq`.

        Raises:
            AssertionError: within one life a `seq` did not grow, or one `seq` had two events.
        """
        known: dict[int, Json] = {}
        self.written_again = 0
        for life in self._written():
            last = 0
            for event in life:
                assert event["seq"] > last, f"seq {event['seq']} after {last} in one life"
                last = event["seq"]
                self.written_again += last in known
                assert known.setdefault(last, event) == event, f"seq {last} is two events"
        return [known[seq] for seq in sorted(known)]

    def _written(self) -> Iterator[list[Json]]:
        """Each life's events, reading only what has come since the last time."""
        for path in sorted(self._directory.glob("life-*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                whole, newline, _torn = file.read().rpartition(b"\n")
            self._offsets[path] = self._offsets.get(path, 0) + len(whole) + len(newline)
            events = self._read.setdefault(path, [])
            events += [json.loads(line) for line in whole.splitlines()]
            yield events

    async def until_subscribed(self, api: Any) -> None:
        """Wait until the daemon knows it: from then on it gets everything."""

        async def probe() -> bool:
            return any(who["name"] == self.name for who in await api.subscribers())

        await eventually(f"subscriber {self.name}", probe)


def send_by_program(socket: Path, text: str) -> None:
    """`fleetchat send --key`, as often as it takes; the text is the key.

    Raises:
        AssertionError: it is not accepted, or the command fails for another reason than a daemon
            that is away.
    """
    command = [FLEETCHAT, "--socket", str(socket), "send", "--key", text, text]
    deadline = time.monotonic() + 60.0
    while True:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0:
            return
        away = done.returncode == NO_DAEMON or "run this again" in done.stderr
        assert away, f"send of {text!r} ended with {done.returncode}: {done.stderr}"
        assert time.monotonic() < deadline, f"{text!r} not accepted: {done.stderr}"
        time.sleep(0.05)
