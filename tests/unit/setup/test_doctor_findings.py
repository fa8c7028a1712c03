"""How findings look, and that whatever breaks off while something is looked at is one too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fleetchatd.client import output
from fleetchatd.client.errors import NoDaemonError
from fleetchatd.connectors.guide import Finding
from fleetchatd.errors import RosterError, SecretError
from fleetchatd.setup.checks.configured import look_at_roster
from fleetchatd.setup.findings import guarded, guarded_live, line_of, of_error

FINE = Finding("ok", "it is fine")


def test_a_line_has_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("warning", "it is late", "hurry")
    assert line_of(finding) == "warning  it is late; hurry"
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert line_of(finding) == "\x1b[33mwarning\x1b[0m  it is late; hurry"
    assert line_of(FINE) == "\x1b[32mok\x1b[0m       it is fine"


def test_what_breaks_off_is_an_error_without_its_words_and_what_was_found_stays() -> None:
    def look() -> Iterator[Finding]:
        yield FINE
        raise KeyError("syt_secret")

    first, second = guarded("the moon", look)
    assert first == FINE
    assert (second.level, second.what) == ("error", "cannot look at the moon: KeyError")
    assert "report it" in str(second.remedy)


@pytest.mark.parametrize("error", [RecursionError(), SystemExit(7)])
async def test_a_guide_that_breaks_off_is_an_error_too(error: BaseException) -> None:
    async def look() -> AsyncIterator[Finding]:
        yield FINE
        raise error

    found = [finding async for finding in guarded_live("the chat", look)]
    assert [finding.level for finding in found] == ["ok", "error"]


@pytest.mark.parametrize(
    "odd",
    ["hello", Finding("fatal", "x"), Finding("ok", None), Finding("ok", "x", 7)],  # type: ignore[arg-type]
)
async def test_what_is_no_finding_of_a_plug_in_is_its_mistake(odd: Finding) -> None:
    async def look() -> AsyncIterator[Finding]:
        yield odd

    (found,) = [finding async for finding in guarded_live("the chat", look)]
    assert (found.level, "report it" in str(found.remedy)) == ("error", True)


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (SecretError("cannot X: Y; do Z; or W"), "cannot X: Y", "do Z; or W"),
        (NoDaemonError("cannot X: Y; do Z"), "cannot X: Y", "do Z"),
        (SecretError("cannot X: Y"), "cannot X: Y", "mend what it names, and look again"),
        (
            PermissionError(13, "Permission denied", "/etc/x"),
            "cannot look at /etc/x: Permission denied",
            "see whose it is, and whether it may be read",
        ),
    ],
)
def test_a_sentence_of_ours_ends_in_its_remedy(error: Exception, what: str, remedy: str) -> None:
    finding = of_error(error, "it")
    assert (finding.what, finding.remedy) == (what, remedy)


@pytest.mark.parametrize(
    ("problem", "what", "remedy"),
    [
        ("r:1: a.b: unknown key (did you mean c?)", "r:1: a.b: unknown key", "did you mean c?"),
        ("r:1: a: is not valid (give a URL (https))", "r:1: a: is not valid", "give a URL (https)"),
        ("r:2: a.(an odd key): is empty (x)", "r:2: a.(an odd key): is empty", "x"),
        ("r (1): cannot read it: gone (init)", "r (1): cannot read it: gone", "init"),
        ("r:3: is not YAML: a tab", "r:3: is not YAML: a tab", "mend that line"),
    ],
)
def test_the_remedy_of_a_rosters_problem_is_what_stands_in_brackets(
    problem: str, what: str, remedy: str
) -> None:
    (finding,) = look_at_roster(RosterError([problem]))
    assert finding.what == what
    assert remedy in str(finding.remedy)


def test_no_error_of_the_system_is_left_without_a_place(tmp_path: Path) -> None:
    def look() -> Iterator[Finding]:
        (tmp_path / "gone").read_text()
        yield FINE

    (finding,) = guarded("the state directory", look)
    assert finding.what == f"cannot look at {tmp_path / 'gone'}: No such file or directory"
