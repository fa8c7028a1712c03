from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from fleetchatd import places
from fleetchatd.setup.state import SYSTEM_STATE, state_dir_for


@pytest.mark.parametrize("named", [False, True])
def test_with_the_systems_roster_one_is_told_where_the_systems_service_would_look(
    named: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    args = Namespace(socket=str(tmp_path / "none"), state_dir="elsewhere" if named else None)
    found = state_dir_for(places.SYSTEM_ROSTER, args)
    told = f"add --state-dir {SYSTEM_STATE}" in capsys.readouterr().err
    assert (found, told) == (("elsewhere", False) if named else (f"{tmp_path}/fleetchatd", True))
    assert "/var/lib/" + unit_says("StateDirectory") == SYSTEM_STATE


def unit_says(directive: str) -> str:
    unit = Path(places.__file__).parent / "units" / "system" / "fleetchatd.service"
    lines = (line.partition("=") for line in unit.read_text().splitlines())
    return next(value for name, _, value in lines if name == directive)
