"""Whether an answer fits the kind's schema, in the words in which a roster is refused."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from fleetchatd import roster_check
from fleetchatd.client.errors import UsageError
from fleetchatd.roster_text import RosterText, dotted
from fleetchatd.setup import flags

_AROUND: Mapping[str, Any] = {
    "version": 1,
    "transport": "tmux",
    "agents": [{"name": "any", "runtime": "any"}],
}


def problems(kind: str, settings: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with settings: name -> what and remedy. That some are missing is not."""
    text = RosterText({**_AROUND, "connector": {"kind": kind, kind: deepcopy(dict(settings))}})
    roster_check.check(text)
    found: dict[str, str] = {}
    for problem in text.problems:
        name = setting_of(kind, problem.key)
        if name is None or name in settings:
            found.setdefault(name or kind, problem.what)
    return found


def refuse_ill_formed(kind: str, given: Mapping[str, Any], schema: flags.Schema) -> None:
    """Refuse what a command line gives and the schema does not take.

    Raises:
        UsageError: names the flags.
    """
    wrong = problems(kind, given)
    if wrong:
        lines = [f"{flags.flag(schema, name)}: {what}" for name, what in wrong.items()]
        raise UsageError("\n".join(lines))


def setting_of(kind: str, key: str) -> str | None:
    """The setting of the kind that a problem's key is about; None if it is about another place."""
    block = dotted(("connector", kind)) + "."
    return key.removeprefix(block).split(".")[0] if key.startswith(block) else None
