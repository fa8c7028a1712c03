"""Power levels: who may send, in old rooms and new ones, whatever their events hold."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.connectors.matrix.power import power_in

ME, ANN = "@mos:fleet.test", "@ann:fleet.test"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)


def create(version: object = "12", by: object = ANN, **content: object) -> dict[str, Any]:
    content |= {"room_version": version}
    return {"type": "m.room.create", "state_key": "", "sender": by, "content": content}


def levels(**content: object) -> dict[str, Any]:
    return {"type": "m.room.power_levels", "state_key": "", "content": content}


@pytest.mark.parametrize(
    ("state", "has", "takes"),
    [
        ([], 0, 0),
        ([create()], 0, 0),
        ([create(by=ME)], math.inf, 0),
        ([create("11", by=ME)], 100, 0),
        ([create(additional_creators=[ME])], math.inf, 0),
        ([create("11", additional_creators=[ME])], 0, 0),
        ([create(by=ME), levels(users={ME: 0}, events_default=50)], math.inf, 50),
        ([create("11", by=ME), levels(users={ANN: 100})], 0, 0),
        ([create(), levels(users_default=10, events_default=20)], 10, 20),
        ([create(), levels(users={ME: 5}, users_default=10)], 5, 0),
        ([create(), levels(events={"m.room.message": 7}, events_default=20)], 0, 7),
        ([create("9"), levels(users={ME: " 50 "}, events_default="+50")], 50, 50),
        ([create(None), levels(users={ME: True}, events_default=1.5)], 0, 0),
        ([levels(events_default=50), {**levels(), "state_key": "x"}], 0, 50),
    ],
)
def test_what_one_has_and_what_a_message_takes(state: list[Any], has: float, takes: int) -> None:
    power = power_in(state, ME)
    assert (power.has, power.takes) == (has, takes)
    assert power.suffices == (has >= takes)


@given(st.lists(st.builds(create, JSON, JSON, additional_creators=JSON) | JSON, max_size=4), JSON)
def test_whatever_the_events_hold_there_is_an_answer(state: list[object], content: object) -> None:
    hostile = {"type": "m.room.power_levels", "state_key": "", "content": content}
    assert power_in([*state, hostile], ME).suffices in (True, False)


@given(st.integers(-99, 99), st.integers(-99, 99), st.integers(-99, 99))
def test_more_power_never_takes_the_word_away(has: int, more: int, takes: int) -> None:
    def suffices(level: int) -> bool:
        state = [create(), levels(users={ME: level}, events_default=takes)]
        return power_in(state, ME).suffices

    assert suffices(has) <= suffices(has + abs(more))
