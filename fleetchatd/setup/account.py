"""The account that `login` and `logout` are about, and where its login is stored."""

from __future__ import annotations

import asyncio
import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetchatd.client.errors import ClientError, UsageError
from fleetchatd.connectors import registry
from fleetchatd.connectors.guide import Credential, Login, LogsIn
from fleetchatd.errors import SecretError, SetupError
from fleetchatd.model import Secret
from fleetchatd.secrets import exchange, login_path, read_secret, remove_login, store_login
from fleetchatd.setup import answers, flags, present
from fleetchatd.setup.context import hidden, refuse_unwritable, stored_login
from fleetchatd.setup.state import state_dir_for

LOGOUT_MOST_S = 5.0
"""How long a person waits for the end of a login that nobody needs any more, in seconds."""


@dataclass(frozen=True, slots=True)
class Account:
    """A login's place.

    Attributes:
        guide: the kind's.
        settings: what the roster and the command line say.
        schema: theirs.
        secret_name: what the login is stored as.
        state_dir: the daemon's.
    """

    kind: str
    guide: LogsIn
    settings: dict[str, Any]
    schema: flags.Schema
    secret_name: str
    state_dir: str

    @property
    def path(self) -> Path:
        """The file that it is stored in."""
        return login_path(self.secret_name, self.state_dir)

    def missing(self) -> list[str]:
        """The settings that must still be known."""
        return [name for name in self.guide.login_settings if name not in self.settings]

    def is_stored(self) -> bool:
        """Whether something is stored, good or not.

        Raises:
            SecretError: that cannot be seen.
        """
        try:
            os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise SecretError(
                f"cannot look at {self.path}: {error.strerror}; see to its rights, or name the"
                " daemon's with --state-dir"
            ) from error
        return True

    def read(self) -> Secret:
        """What is stored.

        Raises:
            SecretError: it is missing or malformed.
        """
        return hidden(read_secret(self.secret_name, self.state_dir, {}))

    def stored(self) -> Secret | None:
        """What is stored; None if that is nothing to go by."""
        return stored_login(self.secret_name, self.state_dir)

    def knows_its_server(self) -> bool:
        """Whether the stored login tells where it is to be ended."""
        stored = self.stored()
        return stored is not None and bool(stored.servers)

    async def log_in(self, credential: Credential) -> Login:
        """Have the chat accept the credential, and store the login in place of what is there.

        Raises:
            SetupError: it is refused; what was stored stays.
            SecretError: it cannot be stored.
        """
        # A daemon that renews the earlier login just now would store that over this one.
        async with exchange(self.state_dir):
            login = await self.guide.login(self.settings, credential, self.stored())
            try:
                store_login(self.secret_name, self.state_dir, login.secret)
            except SecretError:
                await abandon(login, credential, self.guide, self.settings)
                raise
        return login

    def refuse_unwritable(self) -> None:
        """Refuse before anybody proves anything whose outcome could not be stored.

        Raises:
            ClientError: it could not.
        """
        refuse_unwritable(self.path)

    def remove(self) -> bool:
        """Remove what is stored; whether there was something."""
        return remove_login(self.secret_name, self.state_dir)

    def used(self) -> Secret | None:
        """The secret that a daemon with our environment would use."""
        try:
            return read_secret(self.secret_name, self.state_dir)
        except SecretError:
            return None


def of(args: Namespace) -> Account:
    """The account that the command line means.

    Raises:
        UsageError: no kind is named, or a flag is not the kind's or not well-formed.
        ClientError: the kind has no logins.
        RosterError: the roster cannot be read.
    """
    there = present.read(present.find(args.roster))
    kind = args.kind or there.kind
    if kind is None:
        raise UsageError(f"cannot tell which chat: {there.path} names none; name its KIND")
    schema = registry.settings_schema(kind)
    given = flags.given(args, kind, schema)
    answers.refuse_ill_formed(kind, given, schema)
    guide = registry.guide(kind)
    names = registry.secret_names(kind)
    if not names or not isinstance(guide, LogsIn):
        raise ClientError(f"cannot log in to {kind}: it has no logins; {_instead(names)}")
    settings = there.settings(kind) | given
    return Account(kind, guide, settings, schema, names[0], state_dir_for(there.path, args))


def _instead(secret_names: Sequence[str]) -> str:
    if not secret_names:
        return "it needs none, unless you name another KIND"
    name = secret_names[0]
    return f"put the secret into ${name.upper()}, or into a credential file {name}"


async def abandon(
    login: Login, credential: Credential, guide: LogsIn, settings: Mapping[str, Any]
) -> None:
    """End a login that was made here and that nobody will know of.

    A token that was given is somebody's already, and stays.
    """
    if credential.way == "token":
        return
    with suppress(SetupError, TimeoutError):
        async with asyncio.timeout(LOGOUT_MOST_S):
            await guide.logout(settings, login.secret)


async def complete(account: Account) -> None:
    """Ask a person for the settings that are missing.

    Raises:
        StoppedError: the person stops.
    """
    from fleetchatd.setup.interview import ask_setting

    for name in account.missing():
        account.settings[name] = await ask_setting(account.kind, account.schema, name)
