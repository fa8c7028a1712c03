"""What must be the same in every life of the homeserver: its port, its people, its room."""

from __future__ import annotations

import getpass
import json
import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from fleetchatd.errors import FleetchatError
from fleetchatd.homeserver.config import ADDRESS, SERVER_NAME
from fleetchatd.homeserver.private import write_file

USUAL_PORT = 8008
_NAME = "record.json"


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the homeserver.

    Attributes:
        name: the local part of the user id.
    """

    name: str
    password: str = field(repr=False)

    @property
    def user_id(self) -> str:
        """Such as `@ann:fleet.local`."""
        return f"@{self.name}:{SERVER_NAME}"


@dataclass(frozen=True, slots=True)
class Record:
    """It is on disk before anybody acts on it, so that a second try makes nothing twice.

    Attributes:
        room_id: None until the room is made. The port may change until then.
    """

    port: int
    registration_secret: str = field(repr=False)
    bot: Person
    operator: Person
    room_id: str | None = None

    @property
    def base_url(self) -> str:
        """The homeserver's URL."""
        return f"http://{ADDRESS}:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """The roster's block that means this homeserver, as soon as there is a room."""
        assert self.room_id is not None
        return {
            "homeserver_url": self.base_url,
            "user_id": self.bot.user_id,
            "room_id": self.room_id,
        }

    def changed(self, folder: Path, **fields: int | str) -> Self:
        """Write down what has become known."""
        record = replace(self, **fields)  # type: ignore[arg-type]  # the fields' own types
        record.save(folder)
        return record

    def save(self, folder: Path) -> None:
        """Write it to `folder`, durably."""
        write_file(folder / _NAME, json.dumps(asdict(self), indent=1))


def new(orchestrator: str) -> Record:
    """A homeserver that nobody has started yet.

    Args:
        orchestrator: its name in the roster.
    """
    bot = local_part(orchestrator, "orchestrator")
    operator = local_part(_login_name(), "operator")
    if operator == bot:
        operator = "operator" if bot != "operator" else "human"
    return Record(
        port=USUAL_PORT,
        registration_secret=secrets.token_urlsafe(32),
        bot=Person(bot, secrets.token_urlsafe(32)),
        # Somebody has to type this one: 80 bits, and neither of two letters alike.
        operator=Person(operator, "-".join(_syllable() for _ in range(4))),
    )


def load(folder: Path) -> Record | None:
    """The record in `folder`, if there is one.

    Raises:
        FleetchatError: it is damaged.
    """
    path = folder / _NAME
    try:
        values = json.loads(path.read_bytes())
        bot, operator = Person(**values.pop("bot")), Person(**values.pop("operator"))
        return Record(bot=bot, operator=operator, **values)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        pass  # not chained: the decoder's error carries the whole text, passwords included
    raise FleetchatError(
        f"cannot use {path}: it is not what `fleetchat homeserver up` has written; mend it, or move"
        f" {folder} away to begin anew"
    )


def local_part(name: str, otherwise: str) -> str:
    """A name as part of a user id ("User Identifiers"): lower case, few signs, not a number."""
    found = re.sub(r"[^a-z0-9._=/-]+", "-", name.lower()).strip("-._=/")[:64]
    return found if found and not found.isdigit() else otherwise


def _syllable() -> str:
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(4))


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id that has no name
        return ""
