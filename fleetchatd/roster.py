"""The roster: YAML -> a typed, frozen `Roster` (contract §2)."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fleetchatd import roster_check
from fleetchatd.connectors.registry import DEFAULT_KIND
from fleetchatd.errors import RosterError
from fleetchatd.roster_text import LARGEST_BYTES, RosterText, read_text

DEFAULT_TMUX_SOCKET: Final = "mosaic-fleet"
ORCHESTRATOR: Final = "orchestrator"


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent of the fleet."""

    name: str
    runtime: str
    agent_class: str | None = None
    host: str | None = None
    ssh: str | None = None
    socket: str | None = None
    model_hint: str | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """What fleetchatd reads of a roster.

    Attributes:
        path: the file it was read from, as it was named.
        agents: at least one.
        tmux_socket_name: the fleet's tmux server.
        connector_kind: the chosen kind.
        connector_settings: that kind's block, checked; empty if there is none.
        other_settings: the blocks of kinds that are not chosen, checked too.
        doubts: what was probably meant otherwise, each with its line.
    """

    path: str
    agents: Sequence[Agent]
    tmux_socket_name: str
    connector_kind: str
    connector_settings: Mapping[str, Any]
    other_settings: Mapping[str, Mapping[str, Any]]
    doubts: Sequence[str] = ()

    @property
    def orchestrator(self) -> Agent:
        """The agent that speaks for the fleet: by class, else by name, else the first."""
        by_class = (agent for agent in self.agents if agent.agent_class == ORCHESTRATOR)
        by_name = (agent for agent in self.agents if agent.name == ORCHESTRATOR)
        return next(by_class, None) or next(by_name, None) or self.agents[0]

    @property
    def host(self) -> str:
        """The host part of the orchestrator's address: its `host`, else what `hostname -s` says."""
        return self.orchestrator.host or socket.gethostname().partition(".")[0]

    def same_connector_as(self, other: Roster) -> bool:
        """Whether a connector made from `other` may serve on."""
        return self._connector_facts() == other._connector_facts()

    def _connector_facts(self) -> tuple[object, ...]:
        """All that a connector gets from a roster."""
        return (
            self.connector_kind,
            self.connector_settings,
            self.orchestrator.name,
            self.host,
            self.tmux_socket_name,
        )


def load_roster(path: str | Path) -> Roster:
    """Read and check a roster.

    Raises:
        RosterError: it cannot be read or used; carries every problem found.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "not a usable path"
        is_missing = isinstance(error, FileNotFoundError)
        remedy = "write it with `fleetchat init`" if is_missing else "see whether it may be read"
        raise RosterError(
            [f"{path}: cannot read the roster: {reason} ({remedy}, or name another with --roster)"]
        ) from error
    return parse_roster(raw, str(path))


def parse_roster(raw: bytes, path: str) -> Roster:
    """Check a roster's bytes; `path` is what problems call it.

    Raises:
        RosterError: it cannot be used; carries every problem found.
    """
    text = read_text(raw)
    if text.values is not None or not text.problems:
        roster_check.check(text)
    if text.problems:
        raise RosterError([problem.text(path) for problem in sorted(set(text.problems))])
    return _roster(text, path)


def _roster(text: RosterText, path: str) -> Roster:
    values: Mapping[str, Any] = text.values
    connector = values.get("connector", {"kind": DEFAULT_KIND})
    kind = connector["kind"]
    blocks = {name: block or {} for name, block in connector.items() if name != "kind"}
    tmux = values.get("tmux") or {}
    return Roster(
        path=path,
        agents=tuple(_agent(agent) for agent in values["agents"]),
        tmux_socket_name=_twin(tmux, "socket_name", "socketName") or DEFAULT_TMUX_SOCKET,
        connector_kind=kind,
        connector_settings=blocks.pop(kind, {}),
        other_settings=blocks,
        doubts=[doubt.text(path) for doubt in roster_check.doubts(text)],
    )


def _agent(values: Mapping[str, Any]) -> Agent:
    return Agent(
        name=values["name"],
        runtime=values["runtime"],
        agent_class=values.get("class"),
        host=values.get("host"),
        ssh=values.get("ssh"),
        socket=values.get("socket"),
        model_hint=_twin(values, "model_hint", "modelHint"),
    )


def _twin(values: Mapping[str, Any], key: str, twin: str) -> str | None:
    """Upstream writes some keys in either of two ways."""
    found: str | None = values.get(key) or values.get(twin)
    return found
