"""Kind of connector -> what implements it: one table, and the entry-point group.

What a roster may say in a kind's block, and the secrets that the kind needs, can be asked without
loading the connector itself and the libraries behind it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from fleetchatd.errors import ConfigError, ConnectorNotImplementedError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from fleetchatd.connectors.base import Connector

ENTRY_POINT_GROUP = "fleetchatd.connectors"
DEFAULT_KIND = "tmux"


@dataclass(frozen=True, slots=True)
class Shipped:
    """A kind that fleetchatd knows.

    Attributes:
        settings: the light module that holds its `SCHEMA` and `SECRETS`.
        implementation: `module:Class`, or None while there is none.
        remedy: what to do where the implementation, or a library behind it, is missing.
        guide: `module:Class` of what helps to set it up, if there is such; apart from the
            implementation, for a daemon has no use for it.
    """

    settings: str
    implementation: str | None
    remedy: str
    guide: str | None = None


SHIPPED: Mapping[str, Shipped] = {
    "tmux": Shipped(
        "fleetchatd.connectors.tmux.settings",
        "fleetchatd.connectors.tmux.connector:TmuxConnector",
        "install fleetchatd again with all it depends on",
        "fleetchatd.connectors.tmux.guide:TmuxGuide",
    ),
    "matrix": Shipped(
        "fleetchatd.connectors.matrix.settings",
        "fleetchatd.connectors.matrix.connector:MatrixConnector",
        "install fleetchatd again with all it depends on",
        "fleetchatd.connectors.matrix.guide:MatrixGuide",
    ),
    "discord": Shipped(
        "fleetchatd.connectors.discord.settings",
        "fleetchatd.connectors.discord.connector:DiscordConnector",
        "install fleetchatd with its extra: pip install 'fleetchatd[discord]'",
        "fleetchatd.connectors.discord.guide:DiscordGuide",
    ),
    "memory": Shipped(
        "fleetchatd.connectors.memory",
        "fleetchatd.connectors.memory:MemoryConnector",
        "install fleetchatd again",
    ),
}


def kinds() -> tuple[str, ...]:
    """Every kind that a roster may name here, plug-ins included."""
    return tuple(sorted({*SHIPPED, *(point.name for point in _entry_points())}))


def known(kind: str) -> bool:
    """Whether a roster may name `kind`."""
    return kind in SHIPPED or _plug_in(kind) is not None


def settings_schema(kind: str) -> Mapping[str, Any]:
    """The JSON schema (draft 2020-12) of the kind's block in the roster.

    Raises:
        ConnectorNotImplementedError: no such kind is installed.
        ConfigError: the plug-in that has it cannot be loaded.
    """
    if kind in SHIPPED:
        return cast("Mapping[str, Any]", _settings(kind).SCHEMA)
    return connector_class(kind).settings_schema


def secret_names(kind: str) -> Sequence[str]:
    """The names of the secrets that the kind needs.

    Raises:
        ConnectorNotImplementedError: no such kind is installed.
        ConfigError: the plug-in that has it cannot be loaded.
    """
    if kind in SHIPPED:
        return cast("Sequence[str]", _settings(kind).SECRETS)
    return connector_class(kind).secrets


def connector_class(kind: str) -> type[Connector]:
    """The class that implements `kind`, loaded.

    Raises:
        ConnectorNotImplementedError: nothing here implements it; says what to do.
        ConfigError: the plug-in that has it cannot be loaded.
    """
    shipped = SHIPPED.get(kind)
    if shipped is not None and shipped.implementation is not None:
        return cast("type[Connector]", _load_shipped(kind, shipped, shipped.implementation))
    # A kind that we merely know may be brought by a plug-in.
    plug_in = _plug_in(kind)
    if plug_in is not None:
        return _load_plug_in(plug_in)
    if shipped is not None:
        raise ConnectorNotImplementedError(
            f"cannot use connector {kind}: it is not implemented in this fleetchatd;"
            f" {shipped.remedy}"
        )
    raise ConnectorNotImplementedError(
        f"cannot use connector {kind!r}: no such kind is installed; use one of"
        f" {', '.join(kinds())}, or install the plug-in that has it"
    )


def guide(kind: str) -> object | None:
    """What helps to set the kind up (guide.py has its protocols); None if nothing does.

    A plug-in has it as the attribute `guide` of its class.

    Raises:
        ConnectorNotImplementedError: nothing here implements the kind; says what to do.
        ConfigError: the plug-in that has it cannot be loaded.
    """
    shipped = SHIPPED.get(kind)
    if shipped is None or shipped.implementation is None:
        return getattr(connector_class(kind), "guide", None)
    if shipped.guide is None:
        return None
    made: object = _load_shipped(kind, shipped, shipped.guide)()
    return made


def _settings(kind: str) -> Any:
    return importlib.import_module(SHIPPED[kind].settings)


def _load_shipped(kind: str, shipped: Shipped, what: str) -> Any:
    module, _, name = what.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise ConnectorNotImplementedError(
            f"cannot use connector {kind}: the Python module {error.name} is missing;"
            f" {shipped.remedy}"
        ) from error


def _entry_points() -> Sequence[EntryPoint]:
    # Slow to import and to ask: only for kinds that are not in the table.
    from importlib.metadata import entry_points

    return tuple(entry_points(group=ENTRY_POINT_GROUP))


def _plug_in(kind: str) -> EntryPoint | None:
    return next((point for point in _entry_points() if point.name == kind), None)


def _load_plug_in(point: EntryPoint) -> type[Connector]:
    package = point.dist.name if point.dist is not None else point.value
    try:
        loaded = point.load()
    # A plug-in's import may raise whatever it likes, and must not end the daemon in a traceback.
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"cannot load connector {point.name}: importing {point.value} failed with"
            f" {type(error).__name__}: {error}; mend or remove the package {package}"
        ) from error
    missing = [name for name in _NEEDED if not hasattr(loaded, name)]
    if missing or not isinstance(loaded.settings_schema, Mapping):
        raise ConfigError(
            f"cannot load connector {point.name}: {point.value} is no connector (it lacks"
            f" {', '.join(missing) or 'a settings_schema that is a mapping'}); mend or remove"
            f" the package {package}"
        )
    return cast("type[Connector]", loaded)


_NEEDED = (
    "kind",
    "settings_schema",
    "secrets",
    "create",
    "target",
    "send",
    "subscribe",
    "health",
)
