from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from fleetchatd import places
from fleetchatd.errors import ConfigError

VARIABLES = (
    "FLEETCHATD_ROSTER",
    "FLEETCHATD_SOCKET",
    "RUNTIME_DIRECTORY",
    "XDG_RUNTIME_DIR",
    "STATE_DIRECTORY",
    "XDG_STATE_HOME",
)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(places, "SYSTEM_ROSTER", str(tmp_path / "etc.yaml"))
    return tmp_path


def test_the_option_beats_every_other_roster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETCHATD_ROSTER", "/b.yaml")
    assert places.roster_path("/a.yaml") == "/a.yaml"
    assert places.roster_path(None) == "/b.yaml"


def test_a_users_roster_comes_before_the_systems(home: Path) -> None:
    (home / "etc.yaml").touch()
    assert places.roster_path(None) == str(home / "etc.yaml")
    mine = home / ".config/mosaic/fleet/roster.yaml"
    mine.parent.mkdir(parents=True)
    mine.symlink_to("/nowhere")  # broken, but his: not to be passed over in silence
    assert places.roster_path(None) == str(mine)


def test_without_any_roster_the_error_names_every_place(home: Path) -> None:
    with pytest.raises(ConfigError) as error:
        places.roster_path(None)
    for place in ("--roster", "$FLEETCHATD_ROSTER", ".config/mosaic/fleet", "etc.yaml"):
        assert place in str(error.value)
    assert "`fleetchat init`" in str(error.value)


def test_the_client_tries_the_users_socket_before_the_systems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert places.socket_candidates(None) == ["/run/fleetchatd/fleetchatd.sock"]
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/one:/run/two")
    assert places.socket_candidates(None) == [
        "/run/one/fleetchatd.sock",
        "/run/user/7/fleetchatd/fleetchatd.sock",
        "/run/fleetchatd/fleetchatd.sock",
    ]


def test_a_socket_that_was_named_is_the_only_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("FLEETCHATD_SOCKET", "/b.sock")
    assert places.socket_candidates("a.sock") == ["a.sock"]
    assert places.socket_candidates(None) == ["/b.sock"]


def test_the_daemon_listens_where_the_client_looks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert places.socket_path(None) == places.socket_candidates(None)[0]
    assert places.socket_path("/a.sock") == "/a.sock"


def test_a_variable_counts_only_when_it_is_set_to_something(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert places.socket_path(None) == "/run/fleetchatd/fleetchatd.sock"
    assert places.state_dir(None) == str(home / ".local/state/fleetchatd")


def test_a_home_that_is_empty_is_that_of_the_users_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "")
    assert places.state_dir(None) == f"{pwd.getpwuid(os.getuid()).pw_dir}/.local/state/fleetchatd"
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(ConfigError, match="no home directory; name one with --state-dir"):
        places.state_dir(None)


def test_state_is_kept_at_the_first_place_that_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # which XDG has ignored
    assert places.state_dir(None).endswith("/.local/state/fleetchatd")
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert places.state_dir(None) == "/s/fleetchatd"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/fleetchatd:/other")
    assert places.state_dir(None) == "/var/lib/fleetchatd"
    assert places.state_dir("/x") == "/x"


def test_the_client_pays_for_no_import_but_os() -> None:
    # -S: the site module would import much on its own.
    code = (
        "import sys, os; a=set(sys.modules); import fleetchatd.places; print(*set(sys.modules)-a)"
    )
    root = Path(places.__file__).parents[1]
    out = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert set(out.stdout.split()) == {"fleetchatd", "fleetchatd.places", "__future__"}
