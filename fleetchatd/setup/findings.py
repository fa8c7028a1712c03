"""How findings are shown: one a line, as soon as it is made (contract §8).

    ok       homeserver https://matrix.example.org answers (v1.1 … v1.12)
    error    the token is refused: M_UNKNOWN_TOKEN; log in again: fleetchat login matrix

Beside it: how what goes wrong while something is looked at becomes a finding itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any

from fleetchatd.client import output
from fleetchatd.client.errors import ClientError
from fleetchatd.connectors.guide import Finding, Level
from fleetchatd.errors import FleetchatError
from fleetchatd.setup.typed import Places

_COLOURS: dict[Level, str] = {"ok": "32", "warning": "33", "error": "31"}
_WIDTH = len("warning  ")

_SEE_THE_TEXT = "mend what it names, and look again"
_BUG = "this is a mistake in fleetchatd or in a plug-in: please report it"


class Report:
    """Findings on their way to standard output, and what they come to.

    Attributes:
        places: what the commands in remedies must name.
    """

    def __init__(self, *, as_json: bool, places: Places) -> None:
        self._as_json = as_json
        self.places = places
        self._counts: Counter[Level] = Counter()
        self._troubles: list[str] = []

    @property
    def has_errors(self) -> bool:
        """Whether one of them was an error."""
        return self._counts["error"] > 0

    def has_told(self, trouble: str) -> bool:
        """Whether that is part of what was found to be amiss."""
        return any(trouble in told for told in self._troubles)

    def add(self, finding: Finding) -> None:
        """Show a finding; it is out when this returns."""
        self._counts[finding.level] += 1
        if finding.level != "ok":
            self._troubles.append(finding.what)
        if finding.remedy is not None:
            finding = replace(finding, remedy=self.places.typed(finding.remedy))
        if self._as_json:
            output.write_json(json.dumps(asdict(finding)))
        else:
            output.write(line_of(finding) + "\n")

    def add_all(self, findings: Iterable[Finding]) -> None:
        """Show each as soon as it is made."""
        for finding in findings:
            self.add(finding)

    def end(self) -> int:
        """Say on standard error how many there were; gives the exit code."""
        oks, warnings, errors = (self._counts[level] for level in _COLOURS)
        output.note(f"{oks} ok, {_count(warnings, 'warning')}, {_count(errors, 'error')}")
        return 1 if self.has_errors else 0


def line_of(finding: Finding) -> str:
    """A finding on one line; nothing in it can drive a terminal."""
    level = output.paint(finding.level, _COLOURS[finding.level])
    words = [finding.what] if finding.remedy is None else [finding.what, finding.remedy]
    return level + " " * (_WIDTH - len(finding.level)) + output.line("; ".join(words))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def guarded(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What `look` finds; if it breaks off, that is a finding too, and the rest can go on."""
    try:
        yield from look()
    except Exception as error:  # whatever it is, a person is told
        yield of_error(error, subject)


async def guarded_live(
    subject: str, look: Callable[[], AsyncIterator[Finding]]
) -> AsyncIterator[Finding]:
    """The same for what is asked of a chat."""
    try:
        async for finding in look():
            yield _checked(finding)
    except (Exception, SystemExit) as error:
        yield of_error(error, subject)


def _checked(finding: Any) -> Finding:
    """The finding, if it can be shown: it may be a plug-in's."""
    words = isinstance(finding.what, str) and isinstance(finding.remedy, str | None)
    if not isinstance(finding, Finding) or not words or finding.level not in _COLOURS:
        raise TypeError
    return finding


def of_error(
    error: BaseException, subject: str, *, level: Level = "error", about: str | None = None
) -> Finding:
    """What went wrong while `subject` was looked at.

    Of an exception that nobody expected the type alone is told: its text may quote a secret.
    """
    if isinstance(error, FleetchatError | ClientError):
        what, remedy = told(str(error))
        return Finding(level, what, remedy, about)
    if isinstance(error, OSError):
        where = subject if error.filename is None else error.filename
        reason = error.strerror or type(error).__name__
        remedy = "see whose it is, and whether it may be read"
        return Finding(level, f"cannot look at {where}: {reason}", remedy, about)
    return Finding(level, f"cannot look at {subject}: {type(error).__name__}", _BUG, about)


def told(sentence: str, otherwise: str = _SEE_THE_TEXT) -> tuple[str, str]:
    """What a sentence of ours says, and the remedy that ends it: `cannot X: Y; do Z`."""
    what, _, remedy = sentence.partition("; ")
    return what, remedy or otherwise
