"""What people install: two programs, their units and manual pages, out of one wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleetchatd import __version__
from fleetchatd.client.main import COMMANDS
from tests.harness.documents import tested_blocks
from tests.harness.packaging import UV, build_wheel, environment, locked_versions
from tests.harness.synapse_install import REPOSITORY
from tools import man

PIPX = [sys.executable, "-m", "pipx"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with the versions of uv.lock, so that it is our package that is tested."""
    return str(locked_versions(tmp_path_factory.mktemp("versions") / "versions.txt"))


def said(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**environment(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def see_that_it_works(programs: Path) -> None:
    assert said(programs / "fleetchatd", "--version") == f"fleetchatd {__version__}\n"
    assert "subscribe" in said(programs / "fleetchat", "--help")
    home = {"HOME": str(programs.parent)}
    units = said(programs / "fleetchatd", "install-units", "--user", "--dry-run", env=home)
    assert f"would write {programs.parent}/.config/systemd/user/fleetchatd.service" in units


def test_pipx_installs_the_programs_and_their_manual_pages(tmp_path: Path, versions: str) -> None:
    typed = {
        block.partition("#")[0].strip()
        for block in tested_blocks("test_pipx_installs_the_programs_and_their_manual_pages")
    }
    assert typed == {"pipx install .", "pipx install '.[discord]'"}
    places = {f"PIPX_{name}": str(tmp_path / name.lower()) for name in ("HOME", "MAN_DIR")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**places, "PIPX_BIN_DIR": str(tmp_path / "bin"), "PATH": path}
    said("sh", "-ec", max(typed, key=len), env={**env, "PIP_CONSTRAINT": versions})
    see_that_it_works(tmp_path / "bin")
    for page in man.pages():
        assert (tmp_path / "man_dir" / page.file_name).exists()
    said(*PIPX, "uninstall", "fleetchatd", env=env)
    assert not (tmp_path / "bin" / "fleetchatd").exists()


def test_uv_installs_the_programs(tmp_path: Path, wheel: Path, versions: str) -> None:
    env = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    python = ("--python", sys.executable)
    said(UV, "tool", "install", *python, "--constraints", versions, wheel, env=env)
    see_that_it_works(tmp_path / "bin")


@pytest.mark.skipif(shutil.which("man") is None, reason="needs man (apt-get install man-db)")
def test_the_manual_pages_are_well_formed_and_complete(tmp_path: Path) -> None:
    texts = {}
    for page, path in zip(man.pages(), man.write(tmp_path), strict=True):
        env = {"MANWIDTH": "90", "MANROFFOPT": "-rHY=0 -ww", "LC_ALL": "C.UTF-8"}
        shown = subprocess.run(
            ["man", "--local-file", "--no-justification", "--no-hyphenation", str(path)],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stderr == ""
        assert shown.stdout.count(f"{page.name}({page.section})") >= 2
        assert f'"{page.name} - ' in said("lexgrog", path)
        texts[page.name] = shown.stdout
    assert {name for name in COMMANDS if name not in texts["fleetchat"]} == set()
    for word in ("--roster", "--socket-group", "install-units", "78", "CREDENTIALS_DIRECTORY"):
        assert word in texts["fleetchatd"]
    for word in ("homeserver_url", "room_id", "allowed_senders", "orchestrator"):
        assert word in texts["fleetchat-roster"]
    for kind in ("matrix", "discord", "memory", "tmux"):  # a heading for the keys of each
        assert f"\n   {kind}\n" in texts["fleetchat-roster"]
