"""What a kind of chat brings for being set up: `fleetchat init`, `login`, `logout` and `doctor`.

Optional. The registry names the guide of a shipped kind; a plug-in's connector class has it as its
attribute `guide`. It has `examine`, and what its chat has beside that behind the smaller protocols
below. Whoever asks goes by these protocols (`isinstance`), never by a kind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from fleetchatd.connectors.base import Context
from fleetchatd.model import Secret

Level = Literal["ok", "warning", "error"]
Way = Literal["password", "token"]
Settings = Mapping[str, Any]
"""A kind's block of the roster; here keys may be missing from it, what is there fits the schema."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: `error` is what keeps the conversation from working.
        what: what was found, in a few words.
        remedy: what to do about it; None where nothing is to be done.
        about: the setting, or the name of the secret, that another answer would mend.
    """

    level: Level
    what: str
    remedy: str | None = None
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """What a person proves with that an account is theirs."""

    way: Way
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """A login that the chat has accepted.

    Attributes:
        secret: to be stored.
        who: the account, for people.
    """

    secret: Secret
    who: str


@runtime_checkable
class Guide(Protocol):
    """Helps to set up one kind."""

    def examine(self, settings: Settings, context: Context) -> AsyncIterator[Finding]:
        """Look at everything that `settings` names, live, in the order in which one would mend it.

        Whatever can be looked at without a missing setting, or without the secret, is. It writes
        nothing and sends nothing, except that an expired login is renewed and stored. Nothing
        that it may find is raised.
        """


@runtime_checkable
class LogsIn(Protocol):
    """A chat where one has an account."""

    login_settings: Sequence[str]
    """The settings that must be known to log in, in the order in which to ask for them."""
    ways: Sequence[Way]
    """How one may log in."""

    async def login(
        self, settings: Settings, credential: Credential, earlier: Secret | None
    ) -> Login:
        """Have the chat accept the credential.

        Args:
            settings: at least `login_settings`.
            credential: given in one of `ways`.
            earlier: the login stored so far, perhaps another server's; its device may be used
                again.

        Returns:
            The login. Its secret should name the servers that it is for.

        Raises:
            SetupError: it is refused, or nobody answers.
        """

    async def logout(self, settings: Settings, secret: Secret) -> str | None:
        """End the login at the server, where the chat has such a thing; ended already is fine.

        Args:
            settings: those that are known; at least `login_settings`, unless `secret` names the
                servers that it is for.
            secret: the login; where it names its servers, it is for no other.

        Returns:
            A sentence on what else a person may have to do.

        Raises:
            SetupError: it cannot be ended now.
        """


@runtime_checkable
class MakesRoom(Protocol):
    """A chat where we can make a room of our own."""

    async def make_room(
        self, settings: Settings, invite: Sequence[str], context: Context
    ) -> Settings:
        """Make a private room and invite those people.

        Returns:
            The settings that name it.

        Raises:
            SetupError: it cannot be made.
        """
