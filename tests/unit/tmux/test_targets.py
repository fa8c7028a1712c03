from __future__ import annotations

import pytest

from fleetchatd.tmux.targets import FORMAT, Place, Target

PLACES = [
    Place("%0", "mos", "0", "0", "0", "1", "sh"),
    Place("%1", "mos", "0", "1", "0", "0", "sh"),
    Place("%2", "mos", "1", "0", "1", "0", "agent"),
    Place("%3", "mos", "1", "1", "1", "1", "agent"),
    Place("%4", "mosaic", "0", "0", "1", "1", "odd\tname"),
]


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("%4", ["%4"]),
        ("%40", []),
        ("mos", ["%3"]),
        ("=mos", ["%3"]),
        ("=mos:", ["%3"]),
        ("=mo", []),
        ("=mosaic:", ["%4"]),
        ("=mos:0", ["%0"]),
        ("=mos:agent", ["%3"]),
        ("=mos:1.0", ["%2"]),
        ("mos:agent.0", ["%2"]),
        ("=mos:7.0", []),
        ("=mos:1.7", []),
    ],
)
def test_a_target_means_exactly_one_pane_or_none(target: str, meant: list[str]) -> None:
    wanted = Target.parse(target)
    assert [place.pane_id for place in PLACES if wanted.means(place)] == meant


@pytest.mark.parametrize("text", ["", "=", "%", "%x", ":", "=:", "a.b", "=a:1.x", "=a:1.", "=%3"])
def test_what_names_no_pane_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no pane"):
        Target.parse(text)


def test_a_place_is_what_tmux_says_of_it() -> None:
    assert len(FORMAT.split("\t")) == len(Place._fields)
    assert [Place.parse("\t".join(place)) for place in PLACES] == PLACES
