from __future__ import annotations

import signal
import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from fleetchatd import __version__
from fleetchatd.client.main import COMMANDS, build_parser, main
from tests.unit.client.conftest import Run
from tests.unit.client.scripted import Line, ScriptedDaemon, reply, until

QUIET = reply(200, {"subscribers": []})


def imported_by(*words: str) -> set[str]:
    script = (
        "import sys; from fleetchatd.client.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('\\n'.join(sys.modules))"
    )
    command = [sys.executable, "-c", script, "--socket", "/nonexistent/socket", *words]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "words", [["send", "hi"], ["read", "--name", "me"], ["subscribe", "--name", "me"]]
)
def test_nothing_but_the_standard_library_and_the_client_is_imported(words: list[str]) -> None:
    idle = subprocess.run(
        [sys.executable, "-c", "import sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    new = imported_by(*words) - set(idle.stdout.split())
    ours = {name for name in new if name.split(".")[0] == "fleetchatd"}
    foreign = {n for n in new - ours if n.split(".")[0] not in sys.stdlib_module_names}
    assert foreign == set()
    assert {name for name in ours if not name.startswith("fleetchatd.client")} == {
        "fleetchatd",
        "fleetchatd.places",
    }


def test_send_imports_none_of_what_starts_slowly() -> None:
    slow = {"asyncio", "typing", "dataclasses", "pathlib", "subprocess", "shutil", "datetime"}
    slow |= {"http.client", "urllib.parse", "email", "ssl", "logging", "threading", "tempfile"}
    assert imported_by("send", "hi") & slow == set()


def test_every_command_in_the_table_can_be_called() -> None:
    for name, (module, _) in COMMANDS.items():
        found = import_module(f"fleetchatd.{module}")
        assert callable(getattr(found, name))
        assert callable(getattr(found, f"{name}_arguments"))


@pytest.mark.parametrize(
    "words",
    [
        ["subscribers", "--socket", "S", "--json"],
        ["--socket", "S", "--json", "subscribers"],
        ["--json", "subscribers", "--socket=S"],
        ["--socket=S", "subscribers", "--json"],
    ],
)
def test_socket_and_json_stand_before_or_after_the_command(
    daemon: ScriptedDaemon, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.on("GET", "/v1/subscribers", QUIET)
    assert main([word.replace("S", str(daemon.path)) for word in words]) == 0
    assert capsys.readouterr().out == '{"subscribers": []}\n'


def test_a_value_that_is_named_like_a_command_is_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with ScriptedDaemon(Path("send")) as daemon:
        daemon.on("GET", "/v1/subscribers", QUIET)
        assert main(["--socket", "send", "subscribers"]) == 0


@pytest.mark.parametrize(
    "words", [[], ["snd"], ["send", "a", "b"], ["read"], ["subscribe"], ["health", "--bogus"]]
)
def test_a_command_that_makes_no_sense_is_exit_2(run: Run, words: list[str]) -> None:
    result = run(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("usage: fleetchat")


def test_an_unknown_command_is_told_the_known_ones(run: Run) -> None:
    assert "'subscribe'" in run("subscibe").err


def test_help_lists_every_command_with_examples(run: Run) -> None:
    for words in (["--help"], ["-h", "send"]):
        result = run(*words)
        assert result.code == 0
        assert "examples:" in result.out
        assert all(f"\n    {name} " in result.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.code == 0
    assert f"usage: fleetchat {name} [-h] [--socket PATH] [--json]" in result.out


def test_version_is_the_programs(run: Run) -> None:
    assert run("--version").out == f"fleetchat {__version__}\n"


def test_the_help_fits_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, run("subscribe", "--help").out.splitlines())) <= 60


def test_no_daemon_is_exit_69_and_names_the_socket_and_the_remedy(
    run: Run, daemon: ScriptedDaemon
) -> None:
    daemon.stop()
    for path, reason in ((daemon.path, "refused"), (Path("/nonexistent/s"), "No such file")):
        result = run("--socket", str(path), "send", "hi")
        assert (result.code, result.out) == (69, "")
        assert str(path) in result.err
        assert reason in result.err
        assert "--socket" in result.err


def test_every_place_that_was_tried_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FLEETCHATD_SOCKET", raising=False)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "one"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "two"))
    monkeypatch.setattr("fleetchatd.places.SYSTEM_SOCKET", str(tmp_path / "three"))
    assert main(["health"]) == 69
    told = capsys.readouterr().err
    assert all(str(tmp_path / place) in told for place in ("one", "two", "three"))


def test_the_next_place_is_tried_when_one_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLEETCHATD_SOCKET", raising=False)
    monkeypatch.setenv("RUNTIME_DIRECTORY", "")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nothing"))
    monkeypatch.setattr("fleetchatd.places.SYSTEM_SOCKET", str(tmp_path / "system"))
    with ScriptedDaemon(tmp_path / "system") as daemon:
        daemon.on("GET", "/v1/subscribers", QUIET)
        assert main(["subscribers"]) == 0


def test_a_socket_that_may_not_be_opened_is_exit_69_and_says_so(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: socket.socket, path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    result = run("send", "hi")
    assert result.code == 69
    assert f"{daemon.path} (Permission denied); become its user or one of its group" in result.err


def test_a_path_too_long_for_a_socket_is_exit_69(run: Run) -> None:
    result = run("--socket", "/tmp/" + "x" * 200, "send", "hi")
    assert result.code == 69
    assert "too long" in result.err


def test_a_full_queue_of_connections_is_waited_for(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(0)
    first = socket.socket(socket.AF_UNIX)
    first.connect(str(tmp_path / "s"))
    command = [sys.executable, "-m", "fleetchatd.client.main", "--socket", str(tmp_path / "s")]
    with listener, first, subprocess.Popen([*command, "subscribers"]) as client:
        # The queue is full, so the client's own connection can only be the second.
        listener.accept()[0].close()
        with listener.accept()[0] as own:
            assert own.recv(65536).startswith(b"GET /v1/subscribers")
            own.sendall(QUIET)
        assert client.wait(20) == 0


def test_a_daemon_that_never_answers_is_given_up(
    daemon: ScriptedDaemon, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetchatd.client.reload.PATIENCE_S", 0.2)
    daemon.on("POST", "/v1/reload", Line.wait_for_hang_up)
    result = run("reload")
    assert result.code == 1
    assert "did not answer within 0.2 s" in result.err


def test_a_closed_standard_error_changes_nothing(
    daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # what it writes waits in no buffer then
    daemon.on("GET", "/v1/subscribers", reply(404, {"detail": "no"}))
    for script in ('"$@" subscribers 2>&-', '"$@" subscribers 2>/dev/full'):
        assert daemon.run_in_shell(script).code == 1


@pytest.mark.usefixtures("signals_reach_children")
def test_an_interrupt_is_exit_130_without_a_traceback(daemon: ScriptedDaemon) -> None:
    daemon.on("POST", "/v1/messages", Line.wait_for_hang_up)
    client = daemon.start_client("send", "hi")
    until(lambda: daemon.requests, "it was waiting for the answer")
    client.send_signal(signal.SIGINT)
    assert client.communicate(timeout=20) == (b"", b"")
    assert client.returncode == 130


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_option(run: Run, shell: str) -> None:
    script = run("completion", shell).out
    assert all(name in script for name in COMMANDS)
    assert "takeover" in script


def test_the_completion_script_is_good_bash(run: Run) -> None:
    script = run("completion", "bash").out
    check = f"{script}\nCOMP_WORDS=(fleetchat subs); COMP_CWORD=1; COMP_LINE='fleetchat subs'\n"
    check += "complete -p fleetchat"
    done = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=True)
    assert "fleetchat" in done.stdout


def test_the_whole_parser_can_be_built() -> None:
    assert build_parser().prog == "fleetchat"
