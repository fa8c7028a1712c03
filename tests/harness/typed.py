"""What is typed into a program's pane by the daemon's own hands, and the programs that take it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fleetchatd.tmux.control import ControlClient
from fleetchatd.tmux.processes import foreground
from fleetchatd.tmux.server import Server
from fleetchatd.tmux.submission import Activity, submit
from tests.harness.agents import Agent
from tests.harness.tmux import Terminal, Tmux
from tests.harness.waiting import eventually

ADDRESS = "[web1:mos~k3 -> web1:operator] "
SHIP = ADDRESS + "ship it"

Submit = Callable[..., Awaitable[None]]


@asynccontextmanager
async def submitter(pane: Terminal) -> AsyncIterator[Submit]:
    """A control connection to the pane's session, and `submit` over it."""
    activity = Activity()
    session = await pane.ask("#{session_name}")
    client = await ControlClient.attach(Server(str(pane.tmux.socket)), session, activity.heard)

    async def run(text: str, draft: str | None = None) -> None:
        await submit(client, activity, pane.id, text, draft=draft)

    try:
        yield run
    finally:
        await client.close()


async def submit_to(pane: Terminal, text: str) -> None:
    async with submitter(pane) as run:
        await run(text)


async def start(tmux: Tmux, agent: Agent, columns: int = 80) -> Terminal:
    """A pane with an agent that has drawn its prompt."""
    pane = await tmux.session("agent", *agent.command(), columns=columns)
    if agent.kind not in ("lines", "slow"):
        await pane.shows(">")
    else:
        await running(pane, "python")
    return pane


async def running(pane: Terminal, program: str) -> None:
    """Wait until `program` is among those that read the pane's terminal."""

    async def probe() -> bool:
        members = foreground(int(await pane.ask("#{pane_pid}")))
        return any(one.comm.startswith(program) for one in members)

    await eventually(f"{program} running", probe)


async def accepted(agent: Agent, *texts: str) -> None:
    """Wait until the agent has taken these and nothing else."""

    async def probe() -> bool:
        return len(agent.accepted()) >= len(texts)

    await eventually("the agent to take it", probe)
    assert agent.accepted() == list(texts)
