"""The daemon's command line: what it refuses, how it says so, and with which exit code."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleetchatd import __main__ as program
from fleetchatd import __version__
from fleetchatd.errors import AlreadyRunningError, ConfigError, FleetchatError
from tests.harness.rosters import write_roster

TOKEN = "syt_c2VjcmV0_abcdefghijklmnop_1yZ2cd"
MATRIX = {
    "homeserver_url": "https://matrix.example.org",
    "user_id": "@mos:example.org",
    "room_id": "!abc:example.org",
}
DISCORD = {"channel_id": "123"}


def fleetchatd(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The installed program with a home of its own and nothing else in its environment."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("fleetchatd")), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **(env or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
    )


def places(folder: Path, *, roster: str = "roster.yaml") -> list[str]:
    named = {"--roster": roster, "--socket": "run/s.sock", "--state-dir": "state"}
    return [text for name, value in named.items() for text in (name, str(folder / value))]


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_it_says_its_version(tmp_path: Path) -> None:
    result = fleetchatd(tmp_path, "--version")
    assert (result.returncode, result.stdout) == (0, f"fleetchatd {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bogus"],
        ["positional"],
        ["--keep-days", "29"],
        ["--keep-days", "-1"],
        ["--keep-days", "many"],
        ["--log-format", "xml"],
        ["--log-level", "loud"],
        ["--roster"],
    ],
)
def test_what_it_does_not_know_is_a_usage_error(tmp_path: Path, arguments: list[str]) -> None:
    result = fleetchatd(tmp_path, *arguments)
    assert result.returncode == 2
    assert "usage: fleetchatd" in result.stderr
    assert everything_in(tmp_path) == []


def test_no_roster_anywhere_names_the_places_and_the_remedy(tmp_path: Path) -> None:
    result = fleetchatd(tmp_path)
    assert result.returncode == 78
    (line,) = result.stderr.splitlines()
    for place in ("--roster", "$FLEETCHATD_ROSTER", ".config/mosaic/fleet/roster.yaml", "/etc/"):
        assert place in line
    assert "`fleetchat init`" in line


def test_every_mistake_in_a_roster_is_a_line_with_file_line_and_remedy(tmp_path: Path) -> None:
    roster = tmp_path / "roster.yaml"
    roster.write_text(
        "version: 1\ntransport: tmux\nagents:\n  - {name: mos, runtime: claude}\n"
        "connector:\n  kind: matrix\n  matrix:\n    homeserver_ur: x\n    token: syt_oops\n"
    )
    result = fleetchatd(tmp_path, *places(tmp_path))
    assert result.returncode == 78
    lines = result.stderr.splitlines()
    assert any(
        line.startswith(f"{roster}:8: connector.matrix.homeserver_ur: ")
        and "did you mean homeserver_url?" in line
        for line in lines
    )
    assert any(line.startswith(f"{roster}:9: connector.matrix.token") for line in lines)
    assert all(line.startswith(f"{roster}:") for line in lines)
    assert "syt_oops" not in result.stderr
    assert everything_in(tmp_path) == ["roster.yaml"]


def test_under_a_log_format_for_programs_each_mistake_is_a_record(tmp_path: Path) -> None:
    (tmp_path / "roster.yaml").write_text("version: 2\n")
    result = fleetchatd(tmp_path, *places(tmp_path), "--log-format", "json")
    assert result.returncode == 78
    records = [json.loads(line) for line in result.stderr.splitlines()]
    assert len(records) > 1
    assert {record["level"] for record in records} == {"error"}


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
@pytest.mark.parametrize(
    ("kind", "settings", "env", "says"),
    [
        ("matrix", MATRIX, {}, "cannot find the secret matrix_access_token"),
        ("matrix", MATRIX, {"MATRIX_ACCESS_TOKEN": "a b"}, "cannot use the secret in $MATRIX"),
        ("discord", DISCORD, {}, "cannot find the secret discord_bot_token"),
        ("nosuchkind", {}, {}, "connector.kind: unknown kind"),
    ],
)
def test_what_the_operator_must_mend_is_said_in_a_line_and_exits_78(
    tmp_path: Path,
    check: bool,
    kind: str | None,
    settings: dict[str, Any],
    env: dict[str, str],
    says: str,
) -> None:
    write_roster(tmp_path / "roster.yaml", kind, **settings)
    result = fleetchatd(tmp_path, *places(tmp_path), *(["--check"] if check else []), env=env)
    assert result.returncode == 78, result.stderr
    (line,) = result.stderr.splitlines()
    assert says in line
    assert TOKEN not in line
    assert not (tmp_path / "run" / "s.sock").exists()
    assert not check or everything_in(tmp_path) == ["roster.yaml"]


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", ">&- 2>&- <&-"])
def test_where_nothing_can_be_said_the_exit_code_still_says_it(tmp_path: Path, where: str) -> None:
    write_roster(tmp_path / "roster.yaml", "nosuchkind")
    program = [str(Path(sys.executable).with_name("fleetchatd")), *places(tmp_path)]
    refused = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {where}', "sh", *program],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        timeout=30,
    )
    assert refused.returncode == 78


def test_check_prints_what_would_run_never_the_secret_and_writes_nothing(tmp_path: Path) -> None:
    write_roster(tmp_path / "roster.yaml", "matrix", **MATRIX)
    result = fleetchatd(tmp_path, *places(tmp_path), "--check", env={"MATRIX_ACCESS_TOKEN": TOKEN})
    assert result.returncode == 0, result.stderr
    for fact in ("matrix", "@mos:example.org", "!abc:example.org", "from $MATRIX_ACCESS_TOKEN"):
        assert fact in result.stdout
    assert TOKEN not in result.stdout + result.stderr
    assert everything_in(tmp_path) == ["roster.yaml"]


@pytest.mark.parametrize(("where", "code"), [("| true", 0), (">/dev/full", 1)])
def test_check_that_cannot_be_written_says_so_in_one_line_at_most(
    tmp_path: Path, where: str, code: int
) -> None:
    write_roster(tmp_path / "roster.yaml", "memory")
    program = [str(Path(sys.executable).with_name("fleetchatd")), *places(tmp_path), "--check"]
    result = subprocess.run(
        ["/bin/bash", "-c", f'set -o pipefail; "$@" {where}', "bash", *program],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
    )
    assert result.returncode == code
    assert result.stderr.count("\n") == code


@pytest.mark.parametrize("taken", ["state", "run"])
def test_a_place_that_cannot_be_had_exits_1(tmp_path: Path, taken: str) -> None:
    write_roster(tmp_path / "roster.yaml", "memory")
    (tmp_path / taken).touch()
    result = fleetchatd(tmp_path, *places(tmp_path))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("fleetchatd: cannot ")
    assert (tmp_path / taken).read_text() == ""


def run_raising(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException) -> int:
    """`main` with a daemon that ends in `error`."""

    async def run(_daemon: object) -> None:
        raise error

    monkeypatch.setattr("fleetchatd.daemon.Daemon.run", run)
    write_roster(tmp_path / "roster.yaml", "memory")
    return program.main(places(tmp_path))


def grouped(*errors: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("outer", [ExceptionGroup("inner", list(errors))])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("cannot: x; do y"), 78),
        (AlreadyRunningError("cannot: x; do y"), 75),
        (FleetchatError("cannot: x; do y"), 1),
    ],
)
@pytest.mark.parametrize("in_group", [False, True])
def test_an_expected_error_has_its_exit_code_also_out_of_a_group_of_tasks(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    error: FleetchatError,
    code: int,
    in_group: bool,
) -> None:
    raised = grouped(ValueError("also"), error) if in_group else error
    assert run_raising(monkeypatch, tmp_path, raised) == code
    assert capfd.readouterr().err.removeprefix("fleetchatd: ") == "cannot: x; do y\n"


@pytest.mark.parametrize("error", [ValueError("a bug"), grouped(ValueError("a bug"))])
def test_a_bug_is_one_record_and_exits_1(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    assert run_raising(monkeypatch, tmp_path, error) == 1
    (line,) = capfd.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["level"], record["event"]) == ("critical", "fleetchatd broke")
    assert "ValueError: a bug" in record["exception"]


def test_it_may_have_as_many_readers_as_the_hard_limit_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    wanted = program.OPEN_FILES
    cases: Sequence[tuple[tuple[int, int], list[tuple[int, int]]]] = [
        ((1024, 4096), [(4096, 4096)]),
        ((1024, 1 << 30), [(wanted, 1 << 30)]),
        ((1024, resource.RLIM_INFINITY), [(wanted, resource.RLIM_INFINITY)]),
        ((wanted, wanted), []),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), []),
    ]
    for present, result in cases:
        asked.clear()
        monkeypatch.setattr(resource, "getrlimit", lambda _, present=present: present)
        program._raise_file_limit()
        assert asked == result
