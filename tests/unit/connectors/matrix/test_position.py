from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.connectors.matrix.position import ANCHORS, Mark, Position

TEXT = st.text(st.characters(codec="utf-8"))


@given(
    st.none() | TEXT,
    TEXT,
    st.lists(TEXT).map(tuple),
    st.none() | st.tuples(TEXT, TEXT),
    st.booleans(),
)
def test_what_is_kept_is_what_was(
    since: str | None,
    room_id: str,
    anchors: tuple[str, ...],
    rules: tuple[str, str] | None,
    inside: bool,
) -> None:
    position = Position(since, room_id, anchors, rules, inside)
    assert Position.decode(position.encode()) == position
    mark = Mark(since, 1.5, since, anchors)
    assert Mark.decode(mark.encode()) == mark


def test_the_newest_events_are_the_anchors() -> None:
    position = Position("s1", "!room", ("$a", "$b")).after([f"${number}" for number in range(5)])
    assert position.anchors == ("$a", "$b", "$0", "$1", "$2", "$3", "$4")
    position = position.after([f"$x{number}" for number in range(100)])
    assert position.anchors == tuple(f"$x{number}" for number in range(100 - ANCHORS, 100))
    assert position.after([]) == position


def test_outside_the_room_only_the_anchors_tell_where_a_gap_begins() -> None:
    assert Position("s1", "!room").gap_reaches_to == "s1"
    assert Position("s1", "!room", inside=False).gap_reaches_to is None


def test_a_place_without_the_later_fields_is_read() -> None:
    old = orjson.dumps({"since": "s1", "room_id": "!room", "anchors": ["$a"]}).decode()
    assert Position.decode(old) == Position("s1", "!room", ("$a",))
