from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from fleetchatd.errors import ConfigError, RosterError
from fleetchatd.setup.editing.change import Change, plan, write

OLD = b"version: 1 # \xc3\xbc\r\ntransport: tmux\nagents: [{name: mos, runtime: claude}]\nz: 1"
TMUX = {"session": "operator"}


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "roster.yaml"
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_plan_writes_nothing_and_shows_what_it_would(roster: Path) -> None:
    change = plan(roster, "tmux", TMUX)
    assert change.needed
    assert change.diff() == (
        f"--- {roster}\n+++ {roster}\n@@ -1,4 +1,9 @@\n"
        " version: 1 # ü\r\n"
        " transport: tmux\n"
        " agents: [{name: mos, runtime: claude}]\n"
        "-z: 1\n\\ No newline at end of file\n"
        "+z: 1\n+\n+connector:\n+  kind: tmux\n+  tmux:\n"
        "+    session: operator\n\\ No newline at end of file\n"
    )
    assert roster.read_bytes() == OLD
    assert names(roster.parent) == ["roster.yaml"]


def test_a_written_roster_has_its_mode_and_a_backup_with_the_old_bytes(roster: Path) -> None:
    change = plan(roster, "tmux", TMUX)
    backup = write(change)
    assert backup == roster.with_name("roster.yaml.bak")
    assert backup.read_bytes() == OLD
    assert roster.read_bytes() == change.new
    assert (mode(roster), mode(backup)) == (0o640, 0o640)
    assert names(roster.parent) == ["roster.yaml", "roster.yaml.bak"]


def test_the_second_time_there_is_nothing_to_do(roster: Path) -> None:
    write(plan(roster, "tmux", TMUX))
    before = roster.stat()
    again = plan(roster, "tmux", TMUX)
    assert (again.needed, again.diff(), write(again)) == (False, "", None)
    assert roster.stat() == before
    assert names(roster.parent) == ["roster.yaml", "roster.yaml.bak"]


def test_an_older_backup_is_never_overwritten(roster: Path) -> None:
    roster.with_name("roster.yaml.bak").symlink_to("nowhere")
    backups = [write(plan(roster, "tmux", {"session": name})) for name in ("a", "b", "c")]
    assert [backup.name for backup in backups if backup] == [
        f"roster.yaml.bak.{number}" for number in (2, 3, 4)
    ]
    assert not roster.with_name("nowhere").exists()


def test_a_missing_roster_is_made_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "fleet" / "roster.yaml"
    change = plan(path, "tmux", {})
    assert not (tmp_path / "new").exists()
    assert change.diff().startswith(f"--- /dev/null\n+++ {path}\n@@ -0,0 +1,")
    before = os.umask(0o027)
    try:
        assert write(change) is None
    finally:
        os.umask(before)
    assert (path.read_bytes(), mode(path)) == (change.new, 0o640)
    assert names(path.parent) == ["roster.yaml"]
    assert not plan(path, "tmux", {}).needed


def test_a_link_stays_and_its_target_is_replaced(roster: Path, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc" / "fleet.yaml"
    link.symlink_to("../roster.yaml")
    assert write(plan(link, "tmux", {})) == roster.with_name("roster.yaml.bak")
    assert link.is_symlink()
    assert roster.read_bytes().startswith(OLD)
    assert roster.read_bytes() != OLD


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_root_leaves_a_roster_and_its_backup_to_their_owner(roster: Path) -> None:
    os.chown(roster, 12345, 54321)
    backup = write(plan(roster, "tmux", {}))
    assert backup
    assert [(path.stat().st_uid, path.stat().st_gid) for path in (roster, backup)] == [
        (12345, 54321)
    ] * 2
    assert mode(roster) == 0o640


@pytest.mark.parametrize("meanwhile", [b"# an editor was faster\n" + OLD, None])
def test_what_somebody_else_has_written_meanwhile_is_not_overwritten(
    roster: Path, meanwhile: bytes | None
) -> None:
    change = plan(roster, "tmux", {})
    if meanwhile is None:
        roster.unlink()
    else:
        roster.write_bytes(meanwhile)
    with pytest.raises(ConfigError, match=r"cannot write .*: it has been changed meanwhile; "):
        write(change)
    assert not roster.exists() if meanwhile is None else roster.read_bytes() == meanwhile
    assert not [name for name in names(roster.parent) if name != "roster.yaml"]


def test_until_it_is_in_its_place_only_its_owner_can_read_the_new_roster(
    roster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roster.chmod(0o600)
    seen = []
    replace = os.replace

    def look(source: Path, target: Path) -> None:
        seen.append((mode(source), source.parent, target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    write(plan(roster, "tmux", {}))
    assert seen == [(0o600, roster.parent, roster)]


def test_a_full_disk_leaves_everything_as_it_was(
    roster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = plan(roster, "tmux", {})

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"cannot write .*: No space left on device; "):
        write(change)
    assert roster.read_bytes() == OLD
    assert names(roster.parent) == ["roster.yaml"]


def test_a_roster_that_is_wrong_or_would_be_is_refused_with_its_lines(roster: Path) -> None:
    def problems() -> list[str]:
        with pytest.raises(RosterError) as error:
            plan(roster, "matrix", {"room_id": "!abc"})
        return [problem.split(" (")[0] for problem in error.value.problems]

    assert problems() == [
        f"{roster}:8: connector.matrix.homeserver_url: missing",
        f"{roster}:8: connector.matrix.user_id: missing",
    ]
    roster.write_bytes(b"a: 1\na: 2\n")
    assert problems() == [f"{roster}:2: a: is there twice, first in line 1"]
    roster.write_bytes(OLD + b"\nconnector: {kind: tmux, matrix: {access_token: x}}\n")
    assert f"{roster}:5: connector.matrix.access_token: a secret must not stand in" in str(
        problems()
    )


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "file").touch()
    for name in ("folder", "pipe", "circle", "file/below", "nul\0"):
        with pytest.raises(ConfigError, match=r"^cannot read .*: .*; .*name .* with --roster$"):
            plan(tmp_path / name, "tmux", {})


def test_a_link_to_nowhere_gets_its_target(tmp_path: Path) -> None:
    link = tmp_path / "roster.yaml"
    link.symlink_to("there/roster.yaml")
    write(plan(link, "tmux", {}))
    assert link.is_symlink()
    assert (tmp_path / "there" / "roster.yaml").is_file()


def test_a_diff_shows_what_is_no_text_without_failing() -> None:
    assert "+caf\\xe9\n" in Change(Path("r"), b"", b"caf\xe9\n").diff()
