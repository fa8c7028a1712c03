"""Every error that fleetchatd raises on purpose.

FleetchatError                 a sentence for a person: "cannot X: Y; do Z"
├── ConfigError                the operator must mend something; the daemon exits 78
│   ├── RosterError            the roster: carries every problem found, each with file:line
│   ├── SecretError            a secret is missing or malformed (its value is never shown)
│   │   └── ElsewhereError     a login is another server's than the roster's
│   └── JournalDamagedError    (also a JournalError) it cannot be read; it is left as it is
├── AlreadyRunningError        another instance holds the state directory or socket; exits 75
├── ConnectorNotImplementedError   a known kind without an implementation; says what to install
├── SetupError                 a step of setting up was refused; nothing was changed by it
├── JournalError               the journal could not do it; nothing was committed
│   └── StorageFullError       no room on the disk
├── SendError                  what became of one attempt to send (connectors raise these)
│   ├── SendRefused            the server refuses it for good: the message is `failed`
│   ├── SendDeferred           certainly not sent; try again later
│   ├── SendAmbiguous          may or may not have arrived; repeat only under the same id
│   └── SendUnknown            may have arrived and must not be repeated: `unknown`
└── RequestError               a request to the socket that is refused (api/problems.py)
"""

from __future__ import annotations


class FleetchatError(Exception):
    """Base of everything raised here; its text is one sentence for a person."""


class ConfigError(FleetchatError):
    """The operator must change something before the daemon can run (exit code 78)."""


class RosterError(ConfigError):
    """A roster that cannot be used.

    Attributes:
        problems: every problem found, each a line `file:line: key: what (remedy)`.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SecretError(ConfigError):
    """A secret is missing or malformed. The text names it and never shows its value."""


class ElsewhereError(SecretError):
    """A login is for another server than the roster names, and is not shown there."""


class AlreadyRunningError(FleetchatError):
    """Another instance holds the state directory or the socket (exit code 75)."""


class ConnectorNotImplementedError(FleetchatError):
    """The roster names a known kind of connector that has no implementation here."""


class SetupError(FleetchatError):
    """A step of setting up (`fleetchat init`, `login` …) cannot be done; says what to do."""


class JournalError(FleetchatError):
    """The journal could not do what was asked; nothing of it was committed."""


class JournalDamagedError(ConfigError, JournalError):
    """The journal exists and cannot be read. It is left exactly as it was found."""


class StorageFullError(JournalError):
    """The disk has no room for what was asked; nothing of it was committed."""


class SendError(FleetchatError):
    """What became of one attempt to send a part of a message."""


class SendRefused(SendError):  # noqa: N818 - reads as the outcome that it is
    """The server refuses this message for good; the ones behind it go on."""


class SendDeferred(SendError):  # noqa: N818
    """Certainly not sent. Try again, not before `retry_after_s` where the server said so."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class SendAmbiguous(SendError):  # noqa: N818
    """Nobody knows whether it arrived. It may be repeated under the same transaction id."""


class SendUnknown(SendError):  # noqa: N818
    """Nobody knows whether it arrived, and repeating it could show it twice."""
