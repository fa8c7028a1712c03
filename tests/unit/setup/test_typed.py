"""The commands in remedies, as they must be typed where not everything is in its usual place."""

from __future__ import annotations

import pytest

from fleetchatd.setup.typed import Places

PLACES = Places(roster="/r", state_dir="/s d", socket="/sock")


@pytest.mark.parametrize(
    ("remedy", "typed"),
    [
        ("`fleetchat login matrix`", "`fleetchat login matrix --roster /r --state-dir '/s d'`"),
        ("`fleetchat retry ID` tries", "`fleetchat retry ID --socket /sock` tries"),
        ("run fleetchat reload", "run fleetchat reload --socket /sock"),
        ("`fleetchatd install-units`", "`fleetchatd install-units`"),
        ("run `fleetchat console` there", "run `fleetchat console` there"),
        ("start fleetchatd, and wait", "start fleetchatd, and wait"),
    ],
)
def test_a_command_names_the_places_that_it_takes(remedy: str, typed: str) -> None:
    assert PLACES.typed(remedy) == typed
    assert Places().typed(remedy) == remedy
