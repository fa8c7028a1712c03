"""A virtual environment is made whole or not at all, once, by uv or by Python itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fleetchatd.errors import FleetchatError
from fleetchatd.homeserver import install
from tests.harness.packaging import UV, environment


@pytest.fixture(autouse=True)
def _the_index_is_reached_as_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One small package in place of Synapse's sixty."""
    path = tmp_path / "requirements.txt"
    path.write_text("six==1.17.0\n")
    monkeypatch.setattr(install, "REQUIREMENTS", path)
    return path


def with_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{UV.parent}{os.pathsep}{os.environ['PATH']}")


def without_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "empty"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))


def that_claims_six(tmp_path: Path) -> Path:
    """A folder in which pip finds six installed."""
    known = tmp_path / "elsewhere/six-1.17.0.dist-info"
    known.mkdir(parents=True)
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n")
    return known.parent


def has_six(python: Path) -> bool:
    return subprocess.run([python, "-c", "import six"]).returncode == 0


@pytest.mark.usefixtures("requirements")
def test_many_at_once_install_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_uv(monkeypatch)
    said: list[str] = []
    with ThreadPoolExecutor() as pool:
        pythons = set(pool.map(lambda _: install.ensure_installed(tmp_path, said.append), range(3)))
    (python,) = pythons
    assert has_six(python)
    assert [line for line in said if line.startswith("installing")] == [
        "installing Synapse (about 250 MB, once) …"
    ]


@pytest.mark.usefixtures("requirements")
def test_without_uv_python_does_it_and_what_was_half_made_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_uv(monkeypatch)
    python = install.ensure_installed(tmp_path, print)
    shutil.rmtree(python.parents[1] / "lib")
    (python.parents[1] / "complete").unlink()
    without_uv(tmp_path, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(that_claims_six(tmp_path)))
    assert install.ensure_installed(tmp_path, print) == python
    assert has_six(python)


def test_an_installation_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_uv(monkeypatch)
    requirements.write_text("six @ file:///nowhere/six.whl\n")
    for _ in range(2):
        with pytest.raises(FleetchatError, match=r"(?s)cannot install Synapse: .*; see .*nowhere"):
            install.ensure_installed(tmp_path, print)
    assert not list(tmp_path.glob("venv-*"))


def test_a_python_that_is_named_must_have_synapse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(install.PYTHON_VARIABLE, sys.executable)
    with pytest.raises(FleetchatError, match=r"cannot run Synapse with .*; name a Python"):
        install.synapse_python(None, print)
    with pytest.raises(FleetchatError, match=r"with .*: No such file or directory; name a Python"):
        install.synapse_python("/nowhere/python", print)


def test_a_python_may_be_named_from_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_synapse = tmp_path / "python"
    with_synapse.write_text("#!/bin/sh\n")
    with_synapse.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    assert install.synapse_python("./python", print) == with_synapse
    assert install.synapse_python("true", print) == Path("true"), "looked for in $PATH"


def test_environments_are_kept_where_data_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "relative, so it is ignored")
    assert install.data_folder() == tmp_path / ".local/share/fleetchatd/homeserver"
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert install.data_folder() == Path("/elsewhere/fleetchatd/homeserver")
    monkeypatch.setenv("HOME", "~")  # what is left of it for a user whom nobody knows
    monkeypatch.delenv("XDG_DATA_HOME")
    with pytest.raises(FleetchatError, match="no home directory; name one in"):
        install.data_folder()
