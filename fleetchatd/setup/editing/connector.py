"""A roster's connector block, changed so that nothing around it does (contract §8)."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Any, Final

from fleetchatd.errors import ConfigError
from fleetchatd.roster_text import read_text
from fleetchatd.setup.editing.draft import CannotEdit
from fleetchatd.setup.editing.splice import splice
from fleetchatd.setup.editing.words import block, exactly

_NEW_ROSTER: Final = b"""\
# A fleet of one. Every agent that runs in tmux gets an entry; one of them is the orchestrator.
# Tokens and passwords are not in here, nor may they be: `fleetchat login` keeps them.
version: 1
transport: tmux
agents:
  - name: orchestrator
    runtime: claude
    class: orchestrator   # the one agent that the operator talks to
"""


def with_connector(raw: bytes | None, kind: str, settings: Mapping[str, Any]) -> bytes:
    """A roster whose connector is `kind`, with `settings` in that kind's block.

    Other settings of that kind stay, other kinds' blocks and all that is outside the connector
    block stay byte for byte. What is so already gives the same bytes.

    Args:
        raw: the roster; None for a new one.
        kind: a connector's kind.
        settings: scalars, and lists of text.

    Raises:
        ConfigError: there is no such roster that leaves all else as it is.
    """
    before = _NEW_ROSTER if raw is None else raw
    values = _values(before)
    try:
        wanted = values | {"connector": _wanted(values.get("connector"), kind, settings)}
        return before if exactly(values) == exactly(wanted) else _checked(before, values, wanted)
    except CannotEdit as error:
        lines = block({"connector": {"kind": kind} | ({kind: settings} if settings else {})}, 0, 2)
        raise ConfigError(
            f"cannot edit the roster: {error}; put this into it by hand:\n" + "\n".join(lines)
        ) from error


def _wanted(connector: object, kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the block shall say."""
    connector = {} if connector is None else connector
    if not isinstance(connector, dict):
        raise CannotEdit("what stands at connector is not a mapping")
    own = connector.get(kind)
    own = {} if own is None else own
    if not isinstance(own, dict):
        raise CannotEdit(f"what stands at connector.{kind} is not a mapping")
    return connector | {"kind": kind} | ({kind: own | dict(settings)} if own or settings else {})


def _values(raw: bytes) -> dict[str, Any]:
    text = read_text(raw)
    if text.problems:
        problems = "\n".join(problem.text("roster") for problem in sorted(set(text.problems)))
        raise ConfigError(
            f"cannot edit the roster: it cannot be read; mend this first:\n{problems}"
        )
    if not isinstance(text.values, dict):
        raise ConfigError("cannot edit the roster: it is not a mapping; begin it with `version: 1`")
    return text.values


def _checked(raw: bytes, values: Mapping[str, Any], wanted: Mapping[str, Any]) -> bytes:
    """The changed roster, if it says what is wanted when it is read again.

    An anchor may stand within the block and be used outside, or the other way round; whatever
    else YAML has in store, it shows here.
    """
    bom = BOM_UTF8 if raw.startswith(BOM_UTF8) else b""
    new = bom + splice(raw.removeprefix(bom).decode(), values, wanted).encode()
    text = read_text(new)
    if text.problems or exactly(text.values) != exactly(wanted):
        raise CannotEdit("the new text would not say what it should (look for anchors and tags)")
    return new
