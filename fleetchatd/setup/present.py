"""What a roster has already, also one whose connector block is not complete yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleetchatd import places, roster_check
from fleetchatd.errors import ConfigError, RosterError
from fleetchatd.roster import Roster, parse_roster
from fleetchatd.roster_text import Problem, RosterText, read_text
from fleetchatd.setup.answers import setting_of
from fleetchatd.setup.editing.change import read_file

"""Where a roster is made if there is none anywhere."""


@dataclass(frozen=True, slots=True)
class Present:
    """A roster before it is set up.

    Attributes:
        path: the file, as it was named.
        fleet: the roster without its connector; None if there is no file.
        kind: the kind that it names.
        blocks: the kinds' settings as they stand, right or wrong.
        problems: what is wrong with the connector block.
    """

    path: str
    fleet: Roster | None = None
    kind: str | None = None
    blocks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def settings(self, kind: str) -> dict[str, Any]:
        """What is right in the block of `kind`."""
        wrong = self.wrong(kind)
        return {name: each for name, each in self._block(kind).items() if name not in wrong}

    def wrong(self, kind: str) -> dict[str, Problem]:
        """What is wrong in the block of `kind`, of the settings that stand there."""
        found: dict[str, Problem] = {}
        for problem in self.problems:
            name = setting_of(kind, problem.key)
            if name is not None and name in self._block(kind):
                found.setdefault(name, problem)
        return found

    def refuse_others(self, kind: str, known: Mapping[str, object]) -> None:
        """Refuse a roster with problems that no answer can mend.

        Args:
            kind: the one to be set up.
            known: its settings.

        Raises:
            RosterError: carries those problems.
        """
        beyond = [
            problem.text(self.path)
            for problem in self.problems
            if problem.key != "connector.kind" and setting_of(kind, problem.key) not in known
        ]
        if beyond:
            raise RosterError(beyond)

    def _block(self, kind: str) -> Mapping[str, Any]:
        return self.blocks.get(kind, {})


def find(option: str | None) -> str:
    """The roster that is there, or else the one to be made.

    Args:
        option: what `--roster` said.
    """
    try:
        return places.roster_path(option)
    except ConfigError:
        for path in places.in_home(places.USER_ROSTER):
            return path
        raise


def read(path: str) -> Present:
    """Read the roster at `path`; that there is none is fine.

    Raises:
        ConfigError: it cannot be read, or has problems outside its connector block.
    """
    raw = read_file(Path(path))
    if raw is None:
        return Present(path)
    text = read_text(raw)
    if isinstance(text.values, dict) and text.values.get("connector", {}) is None:
        del text.values["connector"]  # `connector:` with nothing below it: there is none yet
    if text.values is not None or not text.problems:
        roster_check.check(text)
    return _present(text, path)


def _present(text: RosterText, path: str) -> Present:
    problems = sorted(set(text.problems))
    if any(not problem.key.startswith("connector.") for problem in problems):
        raise RosterError([problem.text(path) for problem in problems])
    values = dict(text.values)
    connector = values.pop("connector", {})
    blocks = {name: block for name, block in connector.items() if isinstance(block, dict)}
    kind = connector.get("kind")
    return Present(
        path,
        fleet=parse_roster(json.dumps(values).encode(), path),  # JSON is YAML
        kind=kind if isinstance(kind, str) else None,
        blocks=blocks,
        problems=tuple(problems),
    )
