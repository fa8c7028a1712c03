"""The console's folder in the state directory: what console and daemon leave for each other.

    console/in/ID       what the operator submitted; written before it is shown as sent, removed by
                        the daemon once it is journalled
    console/ack/ID      the console has shown this message of the orchestrator's
    console/names       who is who in an address line, for a console that starts without the daemon
    console/socket      where a running daemon tells consoles how it goes (marks.py)
    console/history     the operator's input lines

An ID of `in` sorts by the order of submission. Everything is written by way of a temporary file, a
rename, and a sync of file and folder.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fleetchatd.durable import sync_folder

LONGEST_BYTES = 1024 * 1024
"""What the operator may say at once, as much as a request to the socket may hold."""

STATE_DIR_OPTION = "@fleetchat_state_dir"
"""The option of the operator's session that tells consoles the daemon's state directory."""

ACKS_KEPT = 2000
"""How many confirmations are kept: far more than messages whose end can be open."""

PARTIAL_S = 3600.0
"""How old something half written must be, in seconds, to be what a killed process left."""

_LONGEST_FILE_BYTES = 8 * LONGEST_BYTES
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PARTIAL = "."
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


class SpoolError(Exception):
    """The folder cannot be used; the text is a sentence for a person."""


class NoSubmissionError(SpoolError):
    """No console wrote this."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What the operator said, as the console left it.

    Attributes:
        id: unique; a later one of the same console sorts behind it.
        time: Unix time in seconds, for display.
        thread_id: the tag it was said under, or None.
    """

    id: str
    text: str
    time: float
    thread_id: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Who is who in an address line: `host:session` of both ends."""

    operator: str
    orchestrator: str


class Spool:
    """The folder of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "console"
        self._in = self.folder / "in"
        self._ack = self.folder / "ack"
        self._last = ""
        self._stuck: set[str] = set()

    def make(self) -> None:
        """Make the folders, mode 0700.

        Raises:
            SpoolError: they cannot be made.
        """
        try:
            for folder in (self.folder, self._in, self._ack):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot("make", self.folder, error) from None

    # -- operator -> daemon --------------------------------------------------------------------

    def submit(self, text: str, thread_id: str | None) -> Submission:
        """Keep what the operator said; once this returns, nothing loses it.

        Raises:
            SpoolError: it could not be kept.
        """
        submission = Submission(self._next_id(), text, time.time(), thread_id)
        self._write(self._in, submission.id, json.dumps(asdict(submission)).encode())
        return submission

    def pending(self) -> list[str]:
        """The ids of what was submitted and not taken yet, in order.

        One listing may show a newer file and miss an older one that came meanwhile; two listings
        agree on all that came before the first one's newest. What was taken and could not be
        removed is left out.
        """
        first = self._names(self._in)
        if not first:
            return []
        newest = max(first)
        found = {*first, *self._names(self._in)} - self._stuck
        return sorted(name for name in found if name <= newest)

    def submission(self, submission_id: str) -> Submission | None:
        """What stands under an id; None if it is gone.

        Raises:
            NoSubmissionError: no console wrote it.
            SpoolError: it cannot be read.
        """
        place = self._in / submission_id
        try:
            raw = _read(place)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _cannot("read", place, error) from None
        found = None if raw is None else _parsed(raw, submission_id)
        if found is None:
            raise NoSubmissionError(f"cannot use {place}: no console wrote it")
        return found

    def take(self, submission_id: str) -> None:
        """Remove what is journalled now. If that fails, it is known by its id the next time."""
        try:
            (self._in / submission_id).unlink(missing_ok=True)
        except OSError:
            self._stuck.add(submission_id)

    def put_aside(self, submission_id: str) -> Path:
        """Move away what no console wrote, so that it is looked at once; returns where to."""
        place = self.folder / f"refused-{submission_id}"
        try:
            (self._in / submission_id).rename(place)
        except OSError:
            self._stuck.add(submission_id)
        return place

    # -- daemon -> operator --------------------------------------------------------------------

    def acknowledge(self, message_id: str) -> None:
        """Confirm that a message was shown.

        The daemon sees that at once; when this returns, a loss of power does not undo it either.

        Raises:
            SpoolError: that could not be kept, or this is no message's id.
        """
        if not is_message_id(message_id):
            raise SpoolError(f"cannot confirm {message_id!r}: it is no message's id")
        place = self._ack / message_id
        try:
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            sync_folder(self._ack)
        except OSError as error:
            raise _cannot("write", place, error) from None

    def acknowledged(self, message_id: str) -> bool:
        """Whether the console has shown a message."""
        return is_message_id(message_id) and os.path.exists(self._ack / message_id)

    def forget_old_acks(self) -> None:
        """Remove the oldest confirmations when there are many."""
        with suppress(OSError):
            found = [(one.stat().st_mtime_ns, one.name) for one in os.scandir(self._ack)]
            for _, name in sorted(found)[:-ACKS_KEPT]:
                (self._ack / name).unlink()

    def forget_partials(self) -> None:
        """Remove what killed processes left half written."""
        latest = time.time() - PARTIAL_S
        for folder in (self.folder, self._in, self._ack):
            with suppress(OSError):
                for one in os.scandir(folder):
                    if one.name.startswith(_PARTIAL) and one.stat().st_mtime < latest:
                        os.unlink(one)

    # -- both ----------------------------------------------------------------------------------

    def write_names(self, names: Names) -> None:
        """Tell consoles who is who, unless they know.

        Raises:
            SpoolError: it could not be written.
        """
        if names == self.names():
            return
        self._write(self.folder, "names", json.dumps(asdict(names)).encode())

    def names(self) -> Names | None:
        """Who is who; None before a daemon has said so."""
        try:
            said = json.loads((self.folder / "names").read_bytes())
            return Names(str(said["operator"]), str(said["orchestrator"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _next_id(self) -> str:
        """The time in nanoseconds, and something random, in digits that sort.

        It is later than any that waits here, whatever the clock has done meanwhile.
        """
        newest = max([self._last, *self._names(self._in)])
        now = _base32(time.time_ns(), 13)
        if now <= newest[:13]:
            now = _base32(int(newest[:13], 32) + 1, 13)
        self._last = now + _base32(secrets.randbits(20), 4)
        return self._last

    def _names(self, folder: Path) -> list[str]:
        try:
            return [name for name in os.listdir(folder) if is_submission_id(name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _cannot("list", folder, error) from None

    def _write(self, folder: Path, name: str, data: bytes) -> None:
        self._publish(self._write_partial(folder, name, data), folder / name)

    def _write_partial(self, folder: Path, name: str, data: bytes) -> Path:
        partial = folder / f"{_PARTIAL}{name}.{secrets.token_hex(4)}"
        try:
            with open(partial, "xb", opener=_owners_alone) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise _cannot("write", folder / name, error) from None
        return partial

    def _publish(self, partial: Path, place: Path) -> None:
        try:
            partial.rename(place)
            sync_folder(place.parent)
        except OSError as error:
            raise _cannot("write", place, error) from None


def _owners_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def is_submission_id(name: str) -> bool:
    """Whether this is what `Spool.submit` gives as an id."""
    return len(name) == 17 and set(name) <= set(_DIGITS)


def is_message_id(word: str) -> bool:
    """Whether a word from a paste can be a message's id, and so a file's name."""
    return _MESSAGE_ID.fullmatch(word) is not None


def _base32(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 32)
        digits = _DIGITS[digit] + digits
    return digits


def _read(place: Path) -> bytes | None:
    """What a file holds; None if it is no plain file: a pipe would be waited for without end.

    Raises:
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(place.lstat().st_mode):
        return None
    file = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(file, "rb") as opened:
        return opened.read(_LONGEST_FILE_BYTES)


def _parsed(raw: bytes, submission_id: str) -> Submission | None:
    """What a console wrote; None if none did."""
    try:
        said = json.loads(raw)
        text, when, thread_id = said["text"], float(said["time"]), said["thread_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(text, str) or not text or not isinstance(thread_id, str | None):
        return None
    if len(text.encode(errors="surrogatepass")) > LONGEST_BYTES:
        return None
    return Submission(submission_id, text, when, thread_id)


def _cannot(what: str, place: Path, error: OSError) -> SpoolError:
    return SpoolError(f"cannot {what} {place}: {error.strerror}")
