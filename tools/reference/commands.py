"""The options and arguments of `fleetchat` and `fleetchatd`, from their parsers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import partial

from fleetchatd.__main__ import _parser
from fleetchatd.client.main import build_parser
from tools.reference.tables import code, table

_SHARED = {"--socket", "--json"}
"""What every command of `fleetchat` has; it is told once."""


def regions() -> dict[str, Callable[[], str]]:
    """`fleetchat`, each of its commands, `fleetchatd`, and what runs in its place."""
    client, daemon = build_parser(), _parser()
    made: dict[str, Callable[[], str]] = {
        "fleetchat": partial(_own, client),
        "fleetchatd": partial(_own, daemon),
    }
    for program, parser in (("fleetchat", client), ("fleetchatd", daemon)):
        for name, summary, one in _subparsers(parser):
            made[f"{program} {name}"] = partial(_command, f"{program} {name}", summary, one)
    return made


def _own(parser: argparse.ArgumentParser) -> str:
    return table(("option", "means"), map(_entry, _actions(parser)))


def _command(name: str, summary: str, parser: argparse.ArgumentParser) -> str:
    """How a command is called, and its table; then the same of the commands below it."""
    below = list(_subparsers(parser))
    own = [one for one in _actions(parser) if not _SHARED & set(one.option_strings)]
    words = ["|".join(word for word, *_ in below), "…"] if below else _usage(own)
    rows = table(("option", "means"), map(_entry, own))
    parts = [f"{code(' '.join([name, *words]))}: {summary}\n", *([rows] if rows else [])]
    parts += [_command(f"{name} {word}", what, one) for word, what, one in below]
    return "\n".join(parts)


def _usage(actions: Iterable[argparse.Action]) -> Iterable[str]:
    actions = list(actions)
    options = [action for action in actions if action.option_strings]
    yield from (_called(action) for action in options if action.required)
    if any(not action.required for action in options):
        yield "[OPTION]…"
    for action in actions:
        if not action.option_strings:
            yield f"[{_value(action)}]" if action.nargs == "?" else _value(action)


def _entry(action: argparse.Action) -> tuple[str, str]:
    shown = code(_called(action))
    meaning = (action.help or "see below") % (vars(action) | {"prog": "fleetchat"})
    return shown, meaning


def _called(action: argparse.Action) -> str:
    if not action.option_strings:
        return _value(action)
    name = action.option_strings[-1]
    return name if action.nargs == 0 else f"{name} {_value(action)}"


def _value(action: argparse.Action) -> str:
    if action.metavar is None and action.choices is not None:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _actions(parser: argparse.ArgumentParser) -> Iterable[argparse.Action]:
    """What can be given, without the list of commands."""
    for action in parser._actions:
        hidden = action.help is argparse.SUPPRESS or isinstance(action, argparse._HelpAction)
        if not hidden and not isinstance(action, argparse._SubParsersAction):
            yield action


def _subparsers(
    parser: argparse.ArgumentParser,
) -> Iterable[tuple[str, str, argparse.ArgumentParser]]:
    """Each command's name, what it does, and its own parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {one.dest: one.help or "" for one in action._choices_actions}
            yield from ((name, summaries[name], one) for name, one in action.choices.items())
