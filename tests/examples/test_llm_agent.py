"""docs/how-to/llm-agent.md: what it tells an agent to run is run, in a room with a human."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest_asyncio

from tests.fakes import faults
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.child import Child
from tests.harness.daemon import Daemon
from tests.harness.documents import tested_blocks
from tests.harness.rooms import MakeDaemon
from tests.harness.tmux import PROGRAMS
from tests.harness.waiting import eventually


class Outcome(NamedTuple):
    code: int
    said: str
    complaint: str


class Agent:
    """Types what its instructions say, with words put in for those in capitals."""

    def __init__(self, folder: Path, daemon: Daemon) -> None:
        self.folder = folder
        self.env = os.environ | {
            "PATH": f"{folder}{os.pathsep}{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "FLEETCHATD_SOCKET": str(daemon.socket),
        }
        (text,) = tested_blocks("test_every_command_of_the_instructions_does_what_they_say")
        self._left = [
            " ".join(command.split()) for command in re.findall(r"`(fleetchat [^`]+)`", text)
        ]

    @property
    def untried(self) -> list[str]:
        """What the instructions say and was not run yet."""
        return self._left

    async def run(self, start: str, **words: str) -> Outcome:
        """Run the first command of the instructions that was not run and begins so."""
        command = next(command for command in self._left if command.startswith(start))
        self._left.remove(command)
        return await self.type(command, **words)

    async def type(self, command: str, **words: str) -> Outcome:
        for name, word in words.items():
            command = command.replace(name, word)
        process = await asyncio.create_subprocess_shell(
            command,
            cwd=self.folder,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaint = await process.communicate()
        assert process.returncode is not None
        return Outcome(process.returncode, said.decode(), complaint.decode())


@pytest_asyncio.fixture
async def daemon(make_daemon: MakeDaemon, fake: FakeMatrixRoom) -> AsyncIterator[Daemon]:
    """A daemon in a room with a human."""
    made = make_daemon(fake)
    await made.start()
    await made.api.wait_health(lambda health: health["connector"]["receiving"])
    yield made


async def test_every_command_of_the_instructions_does_what_they_say(
    daemon: Daemon, fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    agent = Agent(tmp_path, daemon)
    assert await agent.run("fleetchat --json read") == (0, "", "")
    root = await fake.human.say("ship it")
    await fake.human.say("after the tests", thread=root)

    # -- what is not acknowledged is shown again
    waited = await agent.run("fleetchat --json read")
    assert "ship it" in waited.said
    again = "fleetchat --json read --name mos --no-ack"
    await eventually("both messages", lambda: _lines(agent, again, 2))
    first, second = await _lines(agent, again, 2)
    assert (first["text"], first["class"], second["thread_id"]) == ("ship it", "human", root)
    assert (await agent.run("fleetchat ack", SEQ=str(first["seq"]))).code == 0
    (left,) = await _lines(agent, again, 1)
    assert left["text"] == "after the tests"

    # -- a key is one message
    send = next(command for command in agent.untried if command.startswith("fleetchat send"))
    outcomes = [await agent.run(send, KEY="green-17"), await agent.type(send, KEY="green-17")]
    assert [outcome.code for outcome in outcomes] == [0, 0]
    assert await fake.said_by_bot() == ["The build is **green**."]

    # -- by standard input nothing is expanded; in quotes neither
    report = '# Report\n\n`make` says "$HOME"\n'
    (tmp_path / "report.md").write_text(report)
    assert (await agent.run("fleetchat send", KEY="report-1")).code == 0
    assert (await fake.said_by_bot())[-1] == report.removesuffix("\n")
    assert (await agent.run("fleetchat send", KEY="done-1", THREAD=root)).code == 0
    (sent,) = await daemon.api.history(thread_id=root, direction="out")
    assert sent["text"] == "Done."

    # -- failed, and queued again
    fake.server.fail("PUT", "*/send/*", faults.refuse(413, "M_TOO_LARGE", "too much"))
    failed = await agent.type(send, KEY="green-18")
    assert (failed.code, "failed" in failed.complaint) == (1, True)
    assert (await agent.run("fleetchat retry", ID=failed.said.strip())).code == 0
    assert (await daemon.api.final(failed.said.strip()))["state"] == "delivered"

    # -- the daemon is away
    await daemon.kill()
    assert (await agent.type(send, KEY="green-19")).code == 69
    await daemon.start()
    assert (await agent.type(send, KEY="green-19")).code == 0
    assert agent.untried == [], "commands that no test has run"


async def _lines(agent: Agent, command: str, count: int) -> list[dict[str, str]]:
    """The events that `command` prints, once there are so many."""
    lines = (await agent.type(command)).said.splitlines()
    return [json.loads(line) for line in lines] if len(lines) == count else []


async def test_an_agent_is_started_for_each_message_as_the_page_says(
    daemon: Daemon, fake: FakeMatrixRoom, tmp_path: Path
) -> None:
    script, commands = tested_blocks("test_an_agent_is_started_for_each_message_as_the_page_says")
    agent = Agent(tmp_path, daemon)
    (tmp_path / "on-message").write_text(script)
    claude = tmp_path / "claude"  # one that fails at first, then answers
    claude.write_text(
        "#!/bin/sh\n[ -e tried ] || { touch tried; exit 1; }\nsed 's/^/You said: /'\n"
    )
    claude.chmod(0o755)
    follower = Child("the subscription", tmp_path / "follower.log")
    # In the shell's place, so that it ends when it is told to.
    commands = commands.replace("fleetchat subscribe", "exec fleetchat subscribe")
    follower.spawn(["sh", "-ec", commands], agent.env, tmp_path)

    async def follows() -> bool:
        return any(one["connected"] for one in await daemon.api.subscribers())

    await eventually("the subscription", follows)
    await fake.human.say("ship it")
    await fake.human.say("and then?")

    async def answered() -> bool:
        return len(await fake.said_by_bot()) == 2

    await eventually("two answers", answered)
    answers = await fake.said_by_bot()
    assert [answer.partition(": ")[2] for answer in answers] == ["ship it", "and then?"]
    await daemon.api.wait_health(lambda health: health["subscribers"][0]["lag"] == 0)
    await follower.end(signal.SIGTERM)

    # Killed before the acknowledgement, it is started again for the same message.
    (event, _) = await daemon.api.pending(after=0, types="message")
    (tmp_path / "event.json").write_text(json.dumps(event))
    assert (await agent.type("./on-message <event.json")).code == 0
    assert await fake.said_by_bot() == answers
