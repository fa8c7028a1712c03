from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetchatd.client.main import main
from tests.unit.client.scripted import Result, ScriptedDaemon

Run = Callable[..., Result]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon(tmp_path / "daemon.sock") as daemon:
        yield daemon


@pytest.fixture
def run(daemon: ScriptedDaemon, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, which is quick."""

    def run(*words: str) -> Result:
        try:
            code = main(["--socket", str(daemon.path), *words])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def signals_reach_children() -> Iterator[None]:
    """Under `nohup`, or behind a shell's `&`, children would inherit signals that are ignored."""
    ignored = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_IGN
    ]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
