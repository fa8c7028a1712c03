"""What the homeserver keeps over its lives."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.errors import FleetchatError
from fleetchatd.homeserver import record as records


@given(st.text())
def test_any_name_becomes_a_part_of_a_user_id(name: str) -> None:
    found = records.local_part(name, "operator")
    assert re.fullmatch(r"[a-z0-9][a-z0-9._=/-]*", found)
    assert not found.isdigit()  # Synapse: "Numeric user IDs are reserved for guest users."


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mos", "mos"),
        ("Ann Bee", "ann-bee"),
        ("_svc", "svc"),
        ("1000", "operator"),
        ("ö", "operator"),
    ],
)
def test_names_stay_as_they_are_where_they_can(name: str, expected: str) -> None:
    assert records.local_part(name, "operator") == expected


@pytest.mark.parametrize("name", ["mos", "operator"])
def test_the_operator_is_never_the_orchestrator(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", name)
    made = records.new(name)
    assert made.bot.name == name
    assert made.operator.name != name


def test_it_is_the_same_in_the_next_life_and_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = records.new("mos").changed(tmp_path, room_id="!room", port=4321)
    finally:
        os.umask(before)
    assert records.load(tmp_path) == made
    assert made.settings == {
        "homeserver_url": "http://127.0.0.1:4321",
        "user_id": "@mos:fleet.local",
        "room_id": "!room",
    }
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_none_is_there_before_the_first_life(tmp_path: Path) -> None:
    assert records.load(tmp_path / "nothing") is None


@pytest.mark.parametrize("cut", [0, 10, -5])
def test_a_damaged_one_is_named_and_not_shown(tmp_path: Path, cut: int) -> None:
    made = records.new("mos")
    made.save(tmp_path)
    file = tmp_path / "record.json"
    file.write_bytes(file.read_bytes()[:cut] + b"?")
    with pytest.raises(FleetchatError, match=r"cannot use .*record\.json: .*; mend it") as refused:
        records.load(tmp_path)
    assert made.operator.password not in str(refused.value)
    assert refused.value.__cause__ is None


def test_no_representation_shows_a_secret() -> None:
    made = records.new("mos")
    for secret in (made.registration_secret, made.bot.password, made.operator.password):
        assert secret not in repr(made)
