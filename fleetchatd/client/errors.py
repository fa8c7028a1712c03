"""What can go wrong for a client, each with the exit code that says so (contract §4).

ClientError               1   failed; its text is the reason
├── UsageError            2   the command line or standard input cannot be used
├── NoDaemonError        69   nobody answers on any socket, or we may not open it
├── ConnectionBrokenError 1   the daemon went away in the middle, or its answer makes no sense
├── RefusedError          1   the daemon said no; carries its problem (RFC 9457)
├── NotDeliveredError     1   an event could not be handed on; a follower tries it again
├── OutputError           1   standard output cannot be written
└── ReaderGoneError       0   who reads our output has seen enough (`| head -1`)
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of all of them; its text is a sentence for a person."""

    exit_code = 1


class UsageError(ClientError):
    """The command cannot be carried out as it was typed."""

    exit_code = 2


class NoDaemonError(ClientError):
    """No socket could be opened. The text says which ones were tried, and why not."""

    exit_code = 69


class ConnectionBrokenError(ClientError):
    """The connection ended, stalled or made no sense before the answer was complete."""


class NotDeliveredError(ClientError):
    """What the event was meant for did not take it: it stays pending, and is tried again."""


class OutputError(ClientError):
    """Standard output could not be written, so nothing may count as seen."""


class ReaderGoneError(ClientError):
    """The pipe we write to was closed: a reader's way of saying "enough"."""

    exit_code = 0


class RefusedError(ClientError):
    """The daemon refused.

    Attributes:
        status: the HTTP status.
        kind: the problem's kebab-case kind, or "".
    """

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
