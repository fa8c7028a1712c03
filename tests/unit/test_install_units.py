"""What `install-units` decides before it touches anything; the rest is tried in a real systemd."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetchatd import install_units
from fleetchatd.errors import FleetchatError
from fleetchatd.install_units import files, manager


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python whose programs are in a folder of the test, and a home beside it."""
    folder = tmp_path / "100% mine" / "bin"
    folder.mkdir(parents=True)
    for name in ("fleetchatd", "fleetchat"):
        (folder / name).touch()
    monkeypatch.setattr("sysconfig.get_path", lambda *_: str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return folder


def units(user: bool = True) -> dict[str, str]:
    return {path.name: text for path, text in files.wanted(user)}


def test_a_path_that_no_unit_can_have_is_refused(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "programs", lambda: Path('/opt/a"b/bin'))
    with pytest.raises(FleetchatError, match="it has a blank, quote"):
        units()


def test_a_path_with_a_blank_is_quoted(programs: Path) -> None:
    shown = str(programs / "fleetchatd").replace("%", "%%")
    assert f'\nExecStart="{shown}" --state-dir' in units()["fleetchatd.service"]


def test_a_percent_sign_in_a_path_is_no_specifier(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "programs", lambda: Path("/opt/100%/bin"))
    text = units()["fleetchatd.service"]
    assert "\nExecStart=/opt/100%%/bin/fleetchatd --state-dir %h/.local/state/fleetchatd\n" in text
    assert "\nExecReload=/opt/100%%/bin/fleetchat reload\n" in text


@pytest.mark.parametrize(
    ("state_home", "shown"),
    [("/data/ann", "/data/ann"), ("", "%h/.local/state"), ("relative", "%h/.local/state")],
)
def test_a_users_unit_keeps_its_state_where_that_users_daemon_would(
    monkeypatch: pytest.MonkeyPatch, state_home: str, shown: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", state_home)
    text = units()["fleetchatd.service"]
    for line in (f"ReadWritePaths={shown}/fleetchatd", f"mkdir -p -m 0700 {shown}/fleetchatd"):
        assert line in text


def test_a_python_without_the_programs_is_named(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (programs / "fleetchat").unlink()
    with pytest.raises(FleetchatError, match=r"cannot find fleetchatd and fleetchat of /.*pipx"):
        units()


def test_a_program_that_the_services_user_may_not_run_is_refused_before_anything_is_written(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "SYSTEM_FOLDER", programs / "units")
    programs.chmod(0o700)
    with pytest.raises(FleetchatError, match=r"as the user fleetchatd: .* is closed to it"):
        install_units.run(user=False, uninstall=False, dry_run=False)
    assert not (programs / "units").exists()
    assert capsys.readouterr().out == ""


def test_it_does_its_work_though_nobody_reads_on(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "reload", lambda user: None)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as unread:
        monkeypatch.setattr("sys.stdout", unread)
        assert install_units.run(user=True, uninstall=False, dry_run=False) == 0
    assert (tmp_path / ".config/systemd/user/fleetchatd.service").exists()


def test_a_full_disk_behind_standard_output_is_told_before_anything_is_done(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(FleetchatError, match="cannot write to standard output"):
            install_units.run(user=True, uninstall=False, dry_run=False)
    assert not (tmp_path / ".config").exists()
