from __future__ import annotations

from pathlib import Path

import pytest

from fleetchatd.check import describe
from fleetchatd.connectors import registry
from fleetchatd.errors import ConnectorNotImplementedError, SecretError
from fleetchatd.roster import Roster, load_roster

ROSTERS = Path(__file__).parent / "rosters"


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch) -> Roster:
    """A roster of kind matrix; which class would run does not matter here."""
    monkeypatch.setattr(registry, "connector_class", lambda kind: object)
    return load_roster(ROSTERS / "full.yaml")


def test_it_says_what_would_run_and_where_the_secret_comes_from(
    matrix: Roster, tmp_path: Path
) -> None:
    text = describe(matrix, tmp_path, {"MATRIX_ACCESS_TOKEN": "hunter2"})
    for words in (
        "full.yaml",
        "matrix",
        "!abc:example.internal",
        "alpha:mos",
        "3",
        "from $MATRIX_ACCESS_TOKEN",
    ):
        assert words in text
    assert "hunter2" not in text


def test_it_writes_nothing(matrix: Roster, tmp_path: Path) -> None:
    describe(matrix, tmp_path / "state", {"MATRIX_ACCESS_TOKEN": "x"})
    assert not list(tmp_path.iterdir())


def test_a_missing_secret_fails_the_check(matrix: Roster, tmp_path: Path) -> None:
    with pytest.raises(SecretError):
        describe(matrix, tmp_path, {})


def test_a_kind_without_an_implementation_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = registry.Shipped("fleetchatd.connectors.tmux.settings", None, "install it")
    monkeypatch.setitem(registry.SHIPPED, "tmux", row)
    with pytest.raises(ConnectorNotImplementedError):
        describe(load_roster(ROSTERS / "tmux.yaml"), tmp_path, {})
