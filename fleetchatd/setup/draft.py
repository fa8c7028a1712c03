"""What is known so far of a kind that is being set up; nothing of it is written yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fleetchatd.connectors import registry
from fleetchatd.connectors.base import Context
from fleetchatd.connectors.guide import (
    Credential,
    Finding,
    Guide,
    Login,
    LogsIn,
    MakesRoom,
    Settings,
)
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret
from fleetchatd.roster_text import Problem
from fleetchatd.setup import flags
from fleetchatd.setup.account import abandon
from fleetchatd.setup.context import context_for, stored_login
from fleetchatd.setup.findings import told
from fleetchatd.setup.present import Present
from fleetchatd.setup.typed import Places

NOTHING_NAMED = Places()


@dataclass(slots=True)
class _Held:
    """A login that was accepted and is not stored yet."""

    login: Login
    credential: Credential


class Draft:
    """How a kind is to be set up.

    Attributes:
        settings: what the roster has, and what was given since.
        named: places that commands in remedies must name.
        invite: whom to invite into a room that is to be made; None if there is to be none.
        context: the guide's; it knows a login that is not stored yet.
    """

    def __init__(
        self,
        kind: str,
        present: Present,
        given: Mapping[str, Any],
        state_dir: str,
        named: Places = NOTHING_NAMED,
    ) -> None:
        """Begin with what is there.

        Raises:
            ConnectorNotImplementedError: the kind lacks something that must be installed.
            ConfigError: the plug-in that has it cannot be loaded.
        """
        self.kind = kind
        self.schema = registry.settings_schema(kind)
        self.guide = registry.guide(kind)
        self.present = present
        self.named = named
        self.settings = present.settings(kind) | dict(given)
        self.invite: Sequence[str] | None = None
        self._stored = context_for(present.fleet, state_dir)
        self._held: _Held | None = None
        self.context: Context = replace(
            self._stored, secret=self._secret, store_secret=self._store_secret
        )

    # -- the kind ------------------------------------------------------------------------------

    @property
    def can_examine(self) -> bool:
        """Whether the kind can say whether its settings work."""
        return isinstance(self.guide, Guide)

    @property
    def login_settings(self) -> Sequence[str]:
        """What must be known to log in."""
        return self.guide.login_settings if isinstance(self.guide, LogsIn) else ()

    @property
    def room_settings(self) -> Sequence[str]:
        """What must be known beside that, and is answered by a room that we make."""
        if not isinstance(self.guide, MakesRoom):
            return ()
        wanted = flags.required(self.schema)
        return [name for name in wanted if name not in self.login_settings]

    @property
    def secret_names(self) -> Sequence[str]:
        """The names of the secrets that it needs."""
        return registry.secret_names(self.kind)

    # -- the settings --------------------------------------------------------------------------

    def missing(self) -> list[str]:
        """What must still be known, in the order in which to ask for it."""
        must = [*self.login_settings, *flags.required(self.schema), *self.wrong()]
        wanted = dict.fromkeys(must)
        answered = set(self.settings) | (set() if self.invite is None else set(self.room_settings))
        return [name for name in wanted if name not in answered]

    def wrong(self) -> dict[str, Problem]:
        """What the roster has and cannot be used, as long as nothing else was given."""
        there = self.present.wrong(self.kind).items()
        return {name: problem for name, problem in there if name not in self.settings}

    def changes(self) -> dict[str, Any]:
        """What the roster does not say already, in the schema's order."""
        there = self.present.settings(self.kind)
        names = dict.fromkeys([*flags.properties(self.schema), *self.settings])
        changed = [name for name in names if self.settings.get(name) != there.get(name)]
        return {name: self.settings[name] for name in changed if name in self.settings}

    # -- the room ------------------------------------------------------------------------------

    def lacks_room(self) -> bool:
        """Whether the roster names no room yet, or one of another account.

        A room is made only then, so the same command makes no second one when it is repeated.
        """
        there = self.present.settings(self.kind)
        other_account = any(name in self.changes() for name in self.login_settings)
        return other_account or any(name not in there for name in self.room_settings)

    def have_room_made(self, invite: Sequence[str]) -> None:
        """Let a new room answer what is asked of one."""
        for name in self.room_settings:
            self.settings.pop(name, None)
        self.invite = invite

    async def make_room(self) -> Settings:
        """Make it; gives the settings that name it.

        Raises:
            SetupError: it cannot be made.
        """
        assert isinstance(self.guide, MakesRoom)
        assert self.invite is not None
        made = await self.guide.make_room(self.settings, self.invite, self.context)
        self.settings |= made
        return made

    # -- the login -----------------------------------------------------------------------------

    def secret_finding(self) -> Finding | None:
        """What is to be said of a secret that is missing or malformed."""
        for name in self.secret_names:
            try:
                self.context.secret(name)
            except SecretError as error:
                what, remedy = told(str(error))
                if isinstance(self.guide, LogsIn):
                    remedy = self.named.typed(f"log in with `fleetchat login {self.kind}`")
                return Finding("warning", what, remedy, name)
        return None

    async def log_in(self, credential: Credential) -> Login:
        """Have the chat accept the credential; the login is kept in mind.

        Raises:
            SetupError: it is refused.
        """
        assert isinstance(self.guide, LogsIn)
        earlier = stored_login(self.secret_names[0], self.context.state_dir)
        login = await self.guide.login(self.settings, credential, earlier)
        await self.forget()
        self._held = _Held(login, credential)
        return login

    async def store_login(self) -> Login | None:
        """Store what was kept in mind.

        Raises:
            SecretError: it cannot be stored.
        """
        if self._held is None:
            return None
        login = self._held.login
        async with self._stored.exchange():  # else a renewed earlier one may be stored over it
            self._stored.store_secret(self.secret_names[0], login.secret)
        self._held = None
        return login

    async def forget(self) -> None:
        """End a login that was made here and never stored."""
        held, self._held = self._held, None
        if held is not None and isinstance(self.guide, LogsIn):
            await abandon(held.login, held.credential, self.guide, self.settings)

    def _secret(self, name: str) -> Secret:
        if self._held is not None and name == self.secret_names[0]:
            return self._held.login.secret
        return self._stored.secret(name)

    def _store_secret(self, name: str, secret: Secret) -> None:
        if self._held is not None and name == self.secret_names[0]:
            self._held.login = replace(self._held.login, secret=secret)
        else:
            self._stored.store_secret(name, secret)
