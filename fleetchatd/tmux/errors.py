"""What goes wrong with tmux.

TmuxError              a sentence for a person
├── NoTmuxError        there is no tmux program that runs
├── NoServerError      no server on that socket, or no such session
└── GoneError          the connection to the server ended, or it does not answer
"""

from __future__ import annotations


class TmuxError(Exception):
    """tmux refused; its text says what."""


class NoTmuxError(TmuxError):
    """There is no tmux here."""


class NoServerError(TmuxError):
    """There is no such server or session (yet)."""


class GoneError(TmuxError):
    """Nobody answers any more; what was asked may or may not have happened."""
