"""The journal in one SQLite file: WAL, `synchronous=FULL`, one writer with group commit."""

from __future__ import annotations

from fleetchatd.journal.sqlite.history import History
from fleetchatd.journal.sqlite.inbound import Inbound
from fleetchatd.journal.sqlite.outbound import Outbound
from fleetchatd.journal.sqlite.subscribers import Subscribers


class SqliteJournal(Outbound, Inbound, History, Subscribers):
    """The `Journal` (journal/base.py) in one file."""


__all__ = ["SqliteJournal"]
