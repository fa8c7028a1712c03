"""`fleetchat check`: each thing that is broken by hand gives one finding, with its remedy."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fleetchatd import install_units
from fleetchatd.connectors.guide import Finding
from fleetchatd.install_units.files import SEAL, sealed
from fleetchatd.secrets import login_path
from fleetchatd.setup.checks import places
from tests.harness.daemon import Daemon
from tests.harness.examination import examine, run
from tests.harness.rooms import MakeDaemon

SECRET = "matrix_access_token"
MATRIX = {
    "homeserver_url": "https://matrix.example.org",
    "user_id": "@mos:example.org",
    "room_id": "!abc:example.org",
}
TOKEN = {"MATRIX_ACCESS_TOKEN": "syt_secret"}

REFUSE_CONNECTIONS = """
import os, sys

def refuse(event, _):
    if event == "socket.connect":
        print("a connection was opened", file=sys.stderr, flush=True)
        os._exit(1)

sys.addaudithook(refuse)
"""

Break = Callable[[Daemon], None]


@pytest.fixture
def matrix(make_daemon: MakeDaemon) -> Daemon:
    """A healthy set-up of a chat that needs a secret; no daemon runs."""
    made = make_daemon(kind="matrix", env=TOKEN)
    made.reconfigure("matrix", **MATRIX)
    made.state_dir.mkdir(mode=0o700)
    return made


@pytest.mark.parametrize("kind", ["memory", "tmux", None])
async def test_a_healthy_set_up_has_nothing_but_ok(
    make_daemon: MakeDaemon, kind: str | None
) -> None:
    found = await examine(make_daemon(kind=kind), "check")
    assert (found.code, found.troubles) == (0, [])
    assert found.summary == f"fleetchat: {len(found.findings)} ok, 0 warnings, 0 errors\n"


async def test_it_says_where_everything_is_and_never_the_secret(matrix: Daemon) -> None:
    found = await examine(matrix, "check")
    assert (found.code, found.troubles) == (0, [])
    for words in (
        str(matrix.roster),
        f"secret {SECRET}: from $MATRIX_ACCESS_TOKEN",
        f"state directory {matrix.state_dir}: mode 0700",
        str(matrix.socket),
        "units of the user: not installed",
    ):
        found.finding(words)
    assert "syt_secret" not in str(found)


async def test_a_finding_is_one_aligned_line_and_the_summary_stands_apart(matrix: Daemon) -> None:
    matrix.state_dir.chmod(0o755)
    code, out, errors = await run(matrix, "check")
    shape = re.compile(r"ok       \S.*|warning  \S.*; chmod 700 \S+")
    assert [line for line in out.splitlines() if not shape.fullmatch(line)] == []
    assert (code, errors) == (0, f"fleetchat: {out.count('ok       ')} ok, 1 warning, 0 errors\n")


async def test_it_opens_no_connection_and_writes_nothing(matrix: Daemon) -> None:
    matrix.state_dir.rmdir()
    (matrix.directory / "sitecustomize.py").write_text(REFUSE_CONNECTIONS)
    env = {"PYTHONPATH": str(matrix.directory), "PYTHONDONTWRITEBYTECODE": "1"}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(matrix.socket))
        listening.listen()
        before = sorted(matrix.directory.rglob("*"))
        assert (await examine(matrix, "check", **env)).troubles == []
        assert sorted(matrix.directory.rglob("*")) == before
        _, _, errors = await run(matrix, "doctor", **env)
    assert errors == "a connection was opened\n"


async def test_what_a_name_holds_cannot_drive_a_terminal(make_daemon: MakeDaemon) -> None:
    made = make_daemon()
    made.state_dir = made.directory / "a\x1b[2J\nerror    b"
    _, out, _ = await run(made, "check")
    assert r"a\x1b[2J\nerror    b" in out
    assert "\x1b" not in out


# -- each thing broken by hand --------------------------------------------------------------------


def _file(path: Path, content: bytes = b"syt_stored\n", mode: int = 0o600) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _journal(daemon: Daemon, content: bytes) -> None:
    _file(daemon.state_dir / "journal.db", content)


def _sqlite(version: int) -> bytes:
    return b"SQLite format 3\0" + bytes(44) + version.to_bytes(4) + bytes(36)


def _socket(path: Path, mode: int) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    path.chmod(mode)


def _as_file(folder: Path) -> None:
    folder.rmdir()
    folder.touch()


TROUBLES: dict[str, tuple[Break, str, str, str]] = {
    "the roster is not there": (
        lambda daemon: daemon.roster.unlink(),
        *("error", "cannot read the roster", "fleetchat init"),
    ),
    "the roster has a mistake": (
        lambda daemon: daemon.reconfigure("matrix", **MATRIX, homeserver_ur="x"),
        *("error", "roster.yaml:", "did you mean homeserver_url?"),
    ),
    "there is no such kind": (
        lambda daemon: daemon.reconfigure("matrx"),
        *("error", "connector.kind: unknown kind", "did you mean matrix?"),
    ),
    "a roster that is no YAML": (
        lambda daemon: _file(daemon.roster, b"a: [}"),
        *("error", "is not YAML", "mend that line"),
    ),
    "no secret anywhere": (
        lambda daemon: daemon.env.clear(),
        *("error", f"cannot find the secret {SECRET}", "fleetchat login matrix --roster "),
    ),
    "a secret that is none": (
        lambda daemon: daemon.env.update(MATRIX_ACCESS_TOKEN="two words"),
        *("error", "cannot use the secret in $MATRIX_ACCESS_TOKEN", "put the bare token there"),
    ),
    "a login that others may read": (
        lambda daemon: _file(login_path(SECRET, daemon.state_dir), mode=0o644),
        *("warning", "others may read", "chmod 600 "),
    ),
    "a state directory that others may enter": (
        lambda daemon: daemon.state_dir.chmod(0o750),
        *("warning", "its mode is 0750", "chmod 700 "),
    ),
    "a state directory that is a file": (
        lambda daemon: _as_file(daemon.state_dir),
        *("error", "it is no directory", "--state-dir"),
    ),
    "an empty journal": (
        lambda daemon: _journal(daemon, b""),
        *("error", "it is damaged, or no journal", "restore it from a backup"),
    ),
    "a journal that is none": (
        lambda daemon: _journal(daemon, b"x" * 4096),
        *("error", "it is damaged, or no journal", "restore it from a backup"),
    ),
    "a journal of a newer version": (
        lambda daemon: _journal(daemon, _sqlite(99)),
        *("error", "a newer fleetchatd wrote it", "install that version"),
    ),
    "a journal's log without the journal": (
        lambda daemon: _file(daemon.state_dir / "journal.db-wal"),
        *("error", "only its log journal.db-wal is left", "restore it from a backup"),
    ),
    "a folder of the socket that everybody may write to": (
        lambda daemon: daemon.socket.parent.chmod(0o1777),
        *("error", "everybody may write to", "--socket"),
    ),
    "no socket in the socket's place": (
        lambda daemon: daemon.socket.touch(),
        *("error", "which is no socket", "remove it"),
    ),
    "a socket that everybody may use": (
        lambda daemon: _socket(daemon.socket, 0o666),
        *("error", "everybody may use it", "chmod o= "),
    ),
    "a socket's path that is too long": (
        lambda daemon: setattr(daemon, "socket", daemon.socket.parent / ("s" * 100)),
        *("error", "bytes are too long, 107 are the most", "name a shorter one"),
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
async def test_what_is_broken_is_found_alone_with_its_remedy(matrix: Daemon, name: str) -> None:
    damage, level, what, remedy = TROUBLES[name]
    damage(matrix)
    (await examine(matrix, "check")).only(level, what, remedy)


async def test_every_mistake_of_a_roster_is_told_with_its_line(matrix: Daemon) -> None:
    matrix.reconfigure("matrix", **{**MATRIX, "user_id": "mos", "room_id": "abc"})
    found = await examine(matrix, "check")
    lines = [re.match(r".*roster\.yaml:(\d+): connector", one.what) for one in found.troubles]
    assert [bool(line) for line in lines] == [True, True]
    assert "(" not in "".join(one.what for one in found.troubles)


async def test_a_key_that_is_nearly_connector_is_told_by_check_and_by_the_daemon(
    matrix: Daemon,
) -> None:
    with matrix.roster.open("a") as file:
        file.write("conector: {kind: tmux}\n")
    (await examine(matrix, "check")).only("warning", "conector: is not read", "connector?")
    await matrix.start()
    assert "conector: is not read (did you mean connector?)" in matrix.log_text


async def test_without_a_roster_anywhere_it_says_where_it_looked(matrix: Daemon) -> None:
    code, out, _ = await run(matrix, "check", "--roster", "")  # an empty one counts as none
    assert code == 1
    assert ".config/mosaic/fleet/roster.yaml" in out
    assert "write one with `fleetchat init --state-dir " in out


async def test_a_credential_that_others_may_read_is_told(matrix: Daemon) -> None:
    folder = matrix.directory / "credentials"
    _file(folder / SECRET, mode=0o640)
    found = await examine(matrix, "check", CREDENTIALS_DIRECTORY=str(folder))
    found.only("warning", "(mode 0640)", "chmod 600 ")


async def test_another_installation_that_a_shell_would_start_is_told(matrix: Daemon) -> None:
    other = matrix.directory / "bin" / "fleetchatd"
    _file(other, mode=0o755)
    path = f"{other.parent}{os.pathsep}{os.environ['PATH']}"
    found = await examine(matrix, "check", PATH=path)
    found.only("warning", f"a shell starts {other}", "first in $PATH")


# -- units ----------------------------------------------------------------------------------------


@pytest.fixture
def units(matrix: Daemon, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's units, as `fleetchatd install-units --user` has just written them."""
    monkeypatch.setenv("HOME", str(matrix.directory))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    reload = "fleetchatd.install_units.manager.reload"
    monkeypatch.setattr(reload, lambda user: None)  # that of this machine
    install_units.run(user=True, uninstall=False, dry_run=False)
    return matrix.directory / ".config/systemd/user"


async def test_units_that_are_current_are_ok(matrix: Daemon, units: Path) -> None:
    found = await examine(matrix, "check")
    assert found.finding("units of the user").what.endswith("installed and current")
    assert found.troubles == []


def _changed_by_hand(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("WatchdogSec=30s", "WatchdogSec=5s"))


def _of_another_version(unit: Path) -> None:
    text = unit.read_text().rpartition(SEAL)[0]
    unit.write_text(sealed(text.replace("WatchdogSec=30s", "WatchdogSec=5s")))


@pytest.mark.parametrize(
    ("damage", "what", "remedy"),
    [
        (_changed_by_hand, "was changed by hand", "drop-in"),
        (_of_another_version, "is not what this fleetchatd would write", "install-units --user`"),
        (Path.unlink, "is missing", "install-units --user`"),
    ],
)
async def test_a_unit_that_is_not_current_is_told(
    matrix: Daemon, units: Path, damage: Callable[[Path], None], what: str, remedy: str
) -> None:
    damage(units / "fleetchatd.service")
    (await examine(matrix, "check")).only("warning", f"fleetchatd.service {what}", remedy)


# -- what cannot be broken by hand here -----------------------------------------------------------


def _look_at_state(folder: Path) -> list[Finding]:
    return [one for one in places.look_at_state(folder, held=False) if one.level != "ok"]


def test_a_disk_that_is_nearly_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    disk = SimpleNamespace(f_bavail=1000, f_blocks=10**6, f_frsize=1024)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    (trouble,) = _look_at_state(tmp_path)
    assert "nearly full, 1000.0 KiB left" in trouble.what
    assert "make room" in str(trouble.remedy)


def test_the_state_directory_of_somebody_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    (trouble,) = _look_at_state(tmp_path)
    assert (trouble.level, "it belongs to" in trouble.what) == ("error", True)
    assert "--state-dir" in str(trouble.remedy)
    (fine,) = places.look_at_state(tmp_path, held=True)
    assert "the daemon has it" in fine.what


def test_a_state_directory_that_cannot_be_written_to_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(
        os, "access", lambda _, mode: not mode & os.W_OK
    )  # as on a disk for reading
    (trouble,) = _look_at_state(tmp_path)
    assert (trouble.level, "cannot be written to" in trouble.what) == ("error", True)
