"""The options and arguments of `fleetchat` and `fleetchatd`, from their parsers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import partial

from fleetchatd.__main__ import _parser
from fleetchatd.client.main import COMMANDS, build_parser
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
    made |= {
        f"fleetchat {name}": partial(_command, f"fleetchat {name}", parser, COMMANDS[name][1])
        for name, parser in _subparsers(client)
    }
    made |= {
        f"fleetchatd {name}": partial(_command, f"fleetchatd {name}", parser, _summary(parser))
        for name, parser in _subparsers(daemon)
    }
    return made


def _own(parser: argparse.ArgumentParser) -> str:
    return table(("option", "means"), map(_entry, _actions(parser)))


def _command(name: str, parser: argparse.ArgumentParser, summary: str) -> str:
    """How a command is called, and its table; then the same of the commands below it."""
    below = list(_subparsers(parser))
    own = [one for one in _actions(parser) if not _SHARED & set(one.option_strings)]
    words = ["|".join(word for word, _ in below), "…"] if below else _usage(own)
    usage = code(" ".join([name, *words]))
    parts = [f"{usage}: {summary}\n" if summary else f"{usage}\n"]
    parts += [rows] if (rows := table(("option", "means"), map(_entry, own))) else []
    parts += [_command(f"{name} {word}", one, _summary(one)) for word, one in below]
    return "\n".join(parts)


def _summary(parser: argparse.ArgumentParser) -> str:
    """What it does, as the table of commands would say it."""
    text = (parser.description or "").rstrip(".")
    return text[:1].lower() + text[1:]


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
) -> Iterable[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()
